/** What nodes may do, before `node-authorizer.ts` and `node-restriction.ts` narrow it to their own, as in Kubernetes. */
import type { PolicyRule } from '../../../api/index.ts';

const read = ['get', 'list', 'watch'];

export const nodeRules: readonly PolicyRule[] = [
  {
    verbs: read,
    apiGroups: [''],
    resources: ['pods', 'nodes', 'services', 'configmaps', 'serviceaccounts', 'endpoints'],
  },
  { verbs: read, apiGroups: [''], resources: ['secrets'] },
  { verbs: read, apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
  { verbs: ['create', 'delete'], apiGroups: [''], resources: ['pods'] },
  { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction'] },
  { verbs: ['update', 'patch'], apiGroups: [''], resources: ['pods/status', 'nodes/status'] },
  { verbs: ['create', 'update', 'patch'], apiGroups: [''], resources: ['nodes'] },
  { verbs: ['create'], apiGroups: [''], resources: ['serviceaccounts/token'] },
  {
    verbs: ['get', 'create', 'update', 'patch', 'delete'],
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
  },
  { verbs: ['create', 'patch', 'update'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
];
