/** Pod -> MeshWorkload (ambient-l4, 10.1). */
import type { Pod } from '../api/core.ts';
import { podWorkloadUid, type ClusterId, type NetworkId, type PolicyKey, type ServiceKey } from '../api/names.ts';
import type { Locality, MeshWorkload, ServicePort } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { workloadNames } from './workload-names.ts';

export interface PodContext {
  readonly cluster: ClusterId;
  readonly network: NetworkId;
  readonly trustDomain: string;
  readonly locality: Locality;
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
  // Sidecars, waypoints and gateways take HBONE by themselves.
  const nativeTunnel = (labels?.['networking.istio.io/tunnel'] ?? '').includes('http');
  const captured = annotations?.['ambient.istio.io/redirection'] === 'enabled';
  return {
    uid: podWorkloadUid(context.cluster, namespace, name),
    name,
    namespace,
    addresses: podIps(pod),
    hostname: '',
    network: context.network,
    tunnelProtocol: nativeTunnel || captured ? 'hbone' : 'none',
    nativeTunnel,
    trustDomain: context.trustDomain,
    serviceAccount: pod.spec.serviceAccountName || 'default',
    node: pod.spec.nodeName ?? '',
    ...workloadNames(pod),
    workloadType: 'pod',
    services: context.services,
    authorizationPolicies: context.authorizationPolicies,
    status: isReady(pod) ? 'healthy' : 'unhealthy',
    clusterId: context.cluster,
    locality: context.locality,
    networkMode: pod.spec.hostNetwork === true ? 'host-network' : 'standard',
    capacity: 1,
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
