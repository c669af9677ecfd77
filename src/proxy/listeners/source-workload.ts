/** Whose connection a tunnel carries, as telemetry names it: by its address, or, from another network, by what it says of itself. Pure. */
import type { ClusterId, NetworkId, WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { isFromOtherNetwork, parseBaggage } from '../../hbone/index.ts';
import type { HeaderList } from '../../http/header-list.ts';
import { spiffeParts } from '../../identity/index.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { TunnelClient } from './tunnel-server.ts';

/** Undefined: nobody knows. Of another network account and namespace are those that its certificate proves; the rest is its own word. */
export function sourceWorkload(
  headers: HeaderList,
  client: Pick<TunnelClient, 'address' | 'identity'>,
  { mesh, network }: { readonly mesh: MeshState; readonly network: NetworkId },
): MeshWorkload | undefined {
  if (!isFromOtherNetwork(headers, network)) return mesh.workloadByIp(network, client.address);
  const baggage = headers.get('baggage');
  if (baggage === undefined) return undefined;
  const { workloadName, canonicalName, canonicalRevision, clusterId, locality } = parseBaggage(baggage);
  const { trustDomain, namespace, serviceAccount } = spiffeParts(client.identity);
  return {
    uid: '' as WorkloadUid,
    name: workloadName,
    namespace,
    addresses: [],
    hostname: '',
    network: (headers.get('x-forwarded-network') ?? '') as NetworkId,
    tunnelProtocol: 'hbone',
    nativeTunnel: false,
    trustDomain,
    serviceAccount,
    node: '',
    canonicalName,
    canonicalRevision,
    workloadType: 'deployment',
    workloadName,
    services: new Map(),
    authorizationPolicies: [],
    status: 'healthy',
    clusterId: clusterId as ClusterId,
    locality: { region: locality?.region ?? '', zone: locality?.zone ?? '', subzone: '' },
    networkMode: 'standard',
    capacity: 1,
  };
}
