/** What nodes may do before NodeRestriction narrows it to their own, as Kubernetes' node authorizer does. */
import type { PolicyRule } from '../../../api/index.ts';

const read = ['get', 'list', 'watch'];

export const nodeRules: readonly PolicyRule[] = [
  {
    verbs: read,
    apiGroups: [''],
    resources: ['pods', 'nodes', 'services', 'configmaps', 'namespaces', 'serviceaccounts', 'endpoints'],
  },
  // Lists and watches of Secrets are for one name, which the node's pods must use.
  { verbs: read, apiGroups: [''], resources: ['secrets'] },
  { verbs: read, apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
  { verbs: ['create', 'delete'], apiGroups: [''], resources: ['pods'] },
  { verbs: ['update', 'patch'], apiGroups: [''], resources: ['pods/status', 'nodes/status'] },
  { verbs: ['create', 'update', 'patch', 'delete'], apiGroups: [''], resources: ['nodes'] },
  { verbs: ['create'], apiGroups: [''], resources: ['serviceaccounts/token'] },
  {
    verbs: ['get', 'create', 'update', 'patch', 'delete'],
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
  },
  { verbs: ['create', 'patch', 'update'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
];
