/** Endpoints of EndpointSlices that are no pods -> MeshWorkload (ambient-l4, 10.2). */
import type { Endpoint, EndpointSlice } from '../api/discovery.ts';
import type { ClusterId, NetworkId, ServiceKey, WorkloadUid } from '../api/names.ts';
import type { MeshWorkload } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { sliceServicePorts, type NamedPort } from './ports.ts';

export interface SliceContext {
  readonly cluster: ClusterId;
  readonly network: NetworkId;
  readonly trustDomain: string;
  readonly serviceName: string;
  readonly serviceKey: ServiceKey;
  readonly ports: readonly NamedPort[];
}

export function isPodEndpoint(endpoint: Endpoint): boolean {
  return endpoint.targetRef?.kind === 'Pod';
}

/**
 * Users may write any address into a slice: these workloads say host network, which keeps their addresses out of
 * lookups by IP, so that nobody takes over the address of a pod.
 */
export function endpointWorkloads(slice: EndpointSlice, context: SliceContext): MeshWorkload[] {
  if (slice.addressType === 'FQDN') return [];
  const { name = '', namespace = '' } = slice.metadata;
  const ports = sliceServicePorts(context.ports, slice);
  return (slice.endpoints ?? []).flatMap((endpoint): MeshWorkload[] => {
    const ip = endpoint.addresses[0];
    if (isPodEndpoint(endpoint) || ip === undefined || tryParseIp(ip) === undefined) return [];
    return [
      {
        uid: `${context.cluster}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${canonicalIp(ip)}` as WorkloadUid,
        name,
        namespace,
        addresses: [canonicalIp(ip)],
        hostname: '',
        network: context.network,
        tunnelProtocol: 'none',
        nativeTunnel: false,
        trustDomain: context.trustDomain,
        serviceAccount: 'default',
        node: endpoint.nodeName ?? '',
        canonicalName: context.serviceName || name,
        canonicalRevision: 'latest',
        workloadType: 'pod',
        workloadName: name,
        services: new Map([[context.serviceKey, ports]]),
        authorizationPolicies: [],
        status: endpoint.conditions?.ready === false ? 'unhealthy' : 'healthy',
        clusterId: context.cluster,
        locality: { region: '', zone: endpoint.zone ?? '', subzone: '' },
        networkMode: 'host-network',
        capacity: 1,
      },
    ];
  });
}
