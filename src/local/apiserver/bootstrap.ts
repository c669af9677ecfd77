/** The objects that an API server makes for itself: the default namespaces, roles and priorities, and the Service `kubernetes`. */
import type { KindInfo, KubeObject } from '../../api/index.ts';
import { kubernetesServiceIp } from './cluster-ip.ts';
import { installDefinitions } from './custom/install.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles } from './rbac/bootstrap-policy.ts';
import { jsonEqual, type ApiObject } from './object-fields.ts';
import { findBuiltin, groupVersion, storageOf } from './served-kinds.ts';
import type { ObjectStore, Transaction } from './store.ts';
import { prepareCreate } from './object-rules.ts';

const rbacGroup = 'rbac.authorization.k8s.io';
const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate';
const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** `k8s.io/kubernetes/pkg/apis/scheduling/v1/helpers.go`. */
const systemPriorities = [
  {
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];

/** Creates what is missing and points the EndpointSlice of `default/kubernetes` at this server. */
export async function bootstrapObjects(
  store: ObjectStore,
  address: { readonly host: string; readonly port: number },
  nowMs: number,
): Promise<void> {
  await store.write((tx) => {
    installDefinitions(tx, nowMs);
    for (const name of namespaces) ensure(tx, kindOf('', 'v1', 'namespaces'), { metadata: { name } }, nowMs);
    ensure(
      tx,
      kindOf('', 'v1', 'services'),
      {
        metadata: {
          name: 'kubernetes',
          namespace: 'default',
          labels: { component: 'apiserver', provider: 'kubernetes' },
        },
        spec: {
          type: 'ClusterIP',
          clusterIP: kubernetesServiceIp,
          clusterIPs: [kubernetesServiceIp],
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
          ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: address.port }],
        },
      },
      nowMs,
    );
    for (const priority of systemPriorities) {
      ensure(tx, kindOf('scheduling.k8s.io', 'v1', 'priorityclasses'), priority, nowMs);
    }
    for (const role of bootstrapClusterRoles) ensurePolicy(tx, kindOf(rbacGroup, 'v1', 'clusterroles'), role, nowMs);
    for (const binding of bootstrapClusterRoleBindings) {
      ensurePolicy(tx, kindOf(rbacGroup, 'v1', 'clusterrolebindings'), binding, nowMs);
    }
    const slice = {
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address.host], conditions: { ready: true } }],
      ports: [{ name: 'https', port: address.port, protocol: 'TCP' }],
    };
    const stored = ensure(tx, kindOf('discovery.k8s.io', 'v1', 'endpointslices'), slice, nowMs);
    const { endpoints, ports } = stored;
    if (!jsonEqual({ endpoints, ports }, { endpoints: slice.endpoints, ports: slice.ports })) {
      const updated = { ...stored, metadata: { ...stored.metadata }, endpoints: slice.endpoints, ports: slice.ports };
      tx.put('endpointslices.discovery.k8s.io', updated);
    }
  });
}

/** Adds what a newer version has more; what an administrator added stays, and so does what opted out of updates. */
function ensurePolicy(tx: Transaction, kind: KindInfo, wanted: KubeObject, nowMs: number): void {
  const stored = ensure(tx, kind, wanted as unknown as ApiObject, nowMs);
  if (stored.metadata.annotations?.[autoUpdate] !== 'true') return;
  const field = kind.kind === 'ClusterRole' ? 'rules' : 'subjects';
  if (kind.kind === 'ClusterRole' && 'aggregationRule' in wanted) return;
  const have = listIn(stored, field);
  const missing = listIn(kind.defaults(wanted), field).filter((item) => !have.some((one) => jsonEqual(one, item)));
  if (missing.length > 0) tx.put(storageOf(kind), { ...stored, [field]: [...have, ...missing] } as ApiObject);
}

function listIn(object: object, field: string): unknown[] {
  const list: unknown = (object as Record<string, unknown>)[field];
  return Array.isArray(list) ? list : [];
}

function ensure(
  tx: Transaction,
  kind: KindInfo,
  object: Record<string, unknown> & Pick<ApiObject, 'metadata'>,
  nowMs: number,
): ApiObject {
  const { namespace = '', name = '' } = object.metadata;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (existing) return existing.object as ApiObject;
  const created: ApiObject = {
    apiVersion: groupVersion(kind.group, kind.version),
    kind: kind.kind,
    ...structuredClone(object),
  };
  prepareCreate(kind, created, nowMs, () => false);
  return tx.put(storageOf(kind), kind.defaults(created)).object as ApiObject;
}

function kindOf(group: string, version: string, plural: string): KindInfo {
  const kind = findBuiltin(group, version, plural);
  if (!kind) throw new Error(`The kind of ${plural} is not served`);
  return kind;
}
