/** Workloads and services with everything at its default, for tests and benches. */
import { defaultClusterId, podWorkloadUid, type NetworkId } from '../api/names.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';

export const defaultNetwork: NetworkId = '' as NetworkId;

/** A healthy HBONE pod `shop/web` with service account `default`, changed by `more`. */
export function meshWorkload(more: Partial<MeshWorkload> = {}): MeshWorkload {
  const namespace = more.namespace ?? 'shop';
  const name = more.name ?? 'web';
  return {
    uid: podWorkloadUid(defaultClusterId, namespace, name),
    name,
    namespace,
    addresses: [],
    hostname: '',
    network: defaultNetwork,
    tunnelProtocol: 'hbone',
    nativeTunnel: false,
    trustDomain: 'cluster.local',
    serviceAccount: 'default',
    node: 'node-1',
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'deployment',
    workloadName: name,
    services: new Map(),
    authorizationPolicies: [],
    status: 'healthy',
    clusterId: defaultClusterId,
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'standard',
    capacity: 1,
    ...more,
  };
}

/** A public canonical service `shop/web.shop.svc.cluster.local`, changed by `more`. */
export function meshService(more: Partial<MeshService> = {}): MeshService {
  const namespace = more.namespace ?? 'shop';
  const name = more.name ?? 'web';
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    addresses: [],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'unknown' }],
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: 'automatic',
    canonical: true,
    ingressUseWaypoint: false,
    visibility: 'public',
    ...more,
  };
}
