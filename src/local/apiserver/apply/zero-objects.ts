/**
 * What an object of Kubernetes' own kinds has before anybody sets a field: the structs and lists that its Go types always
 * write. A create does not take ownership of them, only of what is in them.
 */
import type { JsonObject } from '../merge-patch.ts';

const template: JsonObject = { metadata: {}, spec: { containers: null } };
const workload: JsonObject = { metadata: {}, spec: { selector: null, template }, status: {} };

const zeroObjects: Readonly<Record<string, JsonObject>> = {
  '/Pod': { metadata: {}, spec: { containers: null }, status: {} },
  '/Service': { metadata: {}, spec: {}, status: { loadBalancer: {} } },
  '/Namespace': { metadata: {}, spec: {}, status: {} },
  '/Node': { metadata: {}, spec: {}, status: { daemonEndpoints: { kubeletEndpoint: {} }, nodeInfo: {} } },
  '/Event': { metadata: {}, involvedObject: {}, source: {} },
  'apps/Deployment': { metadata: {}, spec: { selector: null, strategy: {}, template }, status: {} },
  'apps/ReplicaSet': workload,
  'apps/DaemonSet': { metadata: {}, spec: { selector: null, template, updateStrategy: {} }, status: {} },
  'apps/StatefulSet': { metadata: {}, spec: { selector: null, template, updateStrategy: {} }, status: {} },
  'batch/Job': { metadata: {}, spec: { template }, status: {} },
  'discovery.k8s.io/EndpointSlice': { metadata: {}, endpoints: null, ports: null },
  'rbac.authorization.k8s.io/Role': { metadata: {}, rules: null },
  'rbac.authorization.k8s.io/ClusterRole': { metadata: {}, rules: null },
  'rbac.authorization.k8s.io/RoleBinding': { metadata: {}, roleRef: {} },
  'rbac.authorization.k8s.io/ClusterRoleBinding': { metadata: {}, roleRef: {} },
};

const nothing: JsonObject = {};

/** The state that a create starts from; nothing at all for custom kinds. */
export function zeroObject(kind: { readonly group: string; readonly kind: string }): JsonObject {
  return zeroObjects[`${kind.group}/${kind.kind}`] ?? nothing;
}
