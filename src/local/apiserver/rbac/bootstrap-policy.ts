/** The roles and bindings that every Kubernetes server has from the start, as far as this one has what they speak of. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../../../api/index.ts';
import { authenticatedGroup, controllersUser, mastersGroup, unauthenticatedGroup } from '../user.ts';

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const group = 'rbac.authorization.k8s.io';
const bootstrapping = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };

function role(name: string, rules: PolicyRule[], labels: Record<string, string> = {}): ClusterRole {
  return {
    metadata: {
      name,
      labels: { ...bootstrapping, ...labels },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    },
    rules,
  };
}

function aggregated(name: string, ...parts: string[]): ClusterRole {
  const clusterRoleSelectors = parts.map((part) => ({
    matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${part}`]: 'true' },
  }));
  // A role is part of the larger ones: view of edit, edit of admin.
  const larger = { view: 'edit', edit: 'admin' }[name];
  const labels = larger === undefined ? {} : { [`rbac.authorization.k8s.io/aggregate-to-${larger}`]: 'true' };
  return { ...role(name, [], labels), aggregationRule: { clusterRoleSelectors } };
}

function binding(name: string, roleName: string, subjects: ClusterRoleBinding['subjects']): ClusterRoleBinding {
  return {
    metadata: { name, labels: bootstrapping, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' } },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: roleName },
    subjects: subjects ?? [],
  };
}

const workloads = [
  { apiGroups: [''], resources: ['configmaps', 'endpoints', 'persistentvolumeclaims', 'pods', 'services'] },
  { apiGroups: ['apps'], resources: ['daemonsets', 'deployments', 'deployments/scale', 'replicasets', 'statefulsets'] },
  { apiGroups: ['apps'], resources: ['replicasets/scale', 'statefulsets/scale', 'controllerrevisions'] },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'] },
  { apiGroups: ['batch'], resources: ['cronjobs', 'jobs'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'] },
  { apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'networkpolicies'] },
];

const viewRules: PolicyRule[] = [
  ...workloads.map((resources) => ({ ...resources, verbs: read })),
  { apiGroups: [''], resources: ['serviceaccounts', 'namespaces', 'events', 'pods/log', 'pods/status'], verbs: read },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
];

const editRules: PolicyRule[] = [
  ...workloads.map((resources) => ({ ...resources, verbs: write })),
  { apiGroups: [''], resources: ['secrets'], verbs: [...read, ...write] },
  { apiGroups: [''], resources: ['serviceaccounts'], verbs: [...write, 'impersonate'] },
  { apiGroups: [''], resources: ['serviceaccounts/token', 'pods/eviction'], verbs: ['create'] },
  { apiGroups: [''], resources: ['pods/attach', 'pods/exec', 'pods/portforward'], verbs: ['get', 'create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: [...read, ...write] },
];

const adminRules: PolicyRule[] = [
  { apiGroups: [group], resources: ['roles', 'rolebindings'], verbs: [...read, ...write] },
  { apiGroups: ['authorization.k8s.io'], resources: ['localsubjectaccessreviews'], verbs: ['create'] },
];

const part = (name: 'view' | 'edit' | 'admin', rules: PolicyRule[]): ClusterRole =>
  role(`system:aggregate-to-${name}`, rules, { [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' });

export const bootstrapClusterRoles: readonly ClusterRole[] = [
  role('cluster-admin', [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]),
  role('system:discovery', [
    {
      nonResourceURLs: [
        '/api',
        '/api/*',
        '/apis',
        '/apis/*',
        '/healthz',
        '/livez',
        '/openapi',
        '/openapi/*',
        '/readyz',
        '/version',
        '/version/',
      ],
      verbs: ['get'],
    },
  ]),
  role('system:public-info-viewer', [
    { nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'], verbs: ['get'] },
  ]),
  role('system:basic-user', [
    {
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      verbs: ['create'],
    },
    { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] },
  ]),
  role('system:auth-delegator', [
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ]),
  part('view', viewRules),
  part('edit', editRules),
  part('admin', adminRules),
  aggregated('view', 'view'),
  aggregated('edit', 'edit'),
  aggregated('admin', 'admin'),
  // The controllers of this server: they own what they make, and garbage collection reaches every kind.
  role('system:ambit:controllers', [
    {
      apiGroups: [
        '',
        'apps',
        'batch',
        'autoscaling',
        'policy',
        'discovery.k8s.io',
        'coordination.k8s.io',
        'events.k8s.io',
      ],
      resources: ['*'],
      verbs: ['*'],
    },
    { apiGroups: ['*'], resources: ['*'], verbs: [...read, 'delete', 'deletecollection', 'update', 'patch'] },
  ]),
];

export const bootstrapClusterRoleBindings: readonly ClusterRoleBinding[] = [
  binding('cluster-admin', 'cluster-admin', [{ kind: 'Group', apiGroup: group, name: mastersGroup }]),
  binding('system:discovery', 'system:discovery', [{ kind: 'Group', apiGroup: group, name: authenticatedGroup }]),
  binding('system:basic-user', 'system:basic-user', [{ kind: 'Group', apiGroup: group, name: authenticatedGroup }]),
  binding('system:public-info-viewer', 'system:public-info-viewer', [
    { kind: 'Group', apiGroup: group, name: authenticatedGroup },
    { kind: 'Group', apiGroup: group, name: unauthenticatedGroup },
  ]),
  binding('system:ambit:controllers', 'system:ambit:controllers', [
    { kind: 'User', apiGroup: group, name: controllersUser },
  ]),
];
