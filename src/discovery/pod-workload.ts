/** Pod -> MeshWorkload (ambient-l4, 10.1). */
import type { Pod } from '../api/core.ts';
import { podWorkloadUid, type ClusterId, type NetworkId, type PolicyKey, type ServiceKey } from '../api/names.ts';
import type { ApplicationTunnel, GatewayAddress, Locality, MeshWorkload, ServicePort } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { tunnelOf } from './entry-workload.ts';
import type { OutboundMode } from './namespace-profile.ts';
import { workloadNames } from './workload-names.ts';

export interface PodContext {
  readonly cluster: ClusterId;
  readonly network: NetworkId;
  readonly trustDomain: string;
  readonly locality: Locality;
  readonly networkGateway: GatewayAddress | undefined;
  readonly waypoint: GatewayAddress | undefined;
  readonly applicationTunnel: ApplicationTunnel | undefined;
  readonly outboundMode: OutboundMode;
  readonly services: ReadonlyMap<ServiceKey, readonly ServicePort[]>;
  readonly authorizationPolicies: readonly PolicyKey[];
}

/** Whether the pod is an endpoint that somebody may speak to: it has an address and has not ended. */
export function isLivePod(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed' && podIps(pod).length > 0;
}

/** Undefined for pods that are no endpoints (yet, or any more). */
export function podWorkload(pod: Pod, context: PodContext): MeshWorkload | undefined {
  if (!isLivePod(pod)) return undefined;
  const { name = '', namespace = '', labels, annotations } = pod.metadata;
  const { waypoint, networkGateway, applicationTunnel, outboundMode } = context;
  return {
    uid: podWorkloadUid(context.cluster, namespace, name),
    name,
    namespace,
    addresses: podIps(pod),
    hostname: '',
    network: context.network,
    // Sidecars, waypoints and gateways take HBONE by themselves.
    ...tunnelOf(labels, annotations),
    trustDomain: context.trustDomain,
    serviceAccount: pod.spec.serviceAccountName || 'default',
    ...(waypoint ? { waypoint } : {}),
    ...(networkGateway ? { networkGateway } : {}),
    node: pod.spec.nodeName ?? '',
    ...workloadNames(pod),
    workloadType: 'pod',
    ...(applicationTunnel ? { applicationTunnel } : {}),
    services: context.services,
    authorizationPolicies: context.authorizationPolicies,
    status: isReady(pod) ? 'healthy' : 'unhealthy',
    clusterId: context.cluster,
    locality: context.locality,
    networkMode: pod.spec.hostNetwork === true ? 'host-network' : 'standard',
    capacity: 1,
    ...(outboundMode ? { outboundMode } : {}),
  };
}

function isReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function podIps(pod: Pod): string[] {
  const { podIP, podIPs } = pod.status ?? {};
  const all = podIPs && podIPs.length > 0 ? podIPs.map(({ ip }) => ip) : podIP ? [podIP] : [];
  return all.filter((ip) => tryParseIp(ip) !== undefined).map(canonicalIp);
}
