/** Service -> MeshService (ambient-l4, 10.3). */
import type { Namespace, Service } from '../api/core.ts';
import type { NetworkId } from '../api/names.ts';
import type { LoadBalancing, MeshService, RoutingScope } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { servicePorts } from './ports.ts';

export interface ServiceContext {
  readonly clusterDomain: string;
  readonly network: NetworkId;
  readonly namespace: Namespace | undefined;
}

/** DNS name of a Service inside the cluster. */
export function serviceHostname(service: Service, clusterDomain: string): string {
  return `${service.metadata.name}.${service.metadata.namespace}.svc.${clusterDomain}`;
}

/** Whether the Service stands for endpoints of the mesh; ExternalName is only a DNS alias. */
export function isMeshService(service: Service): boolean {
  return service.spec?.type !== 'ExternalName';
}

export function meshService(service: Service, context: ServiceContext): MeshService | undefined {
  if (!isMeshService(service)) return undefined;
  const loadBalancing = loadBalancingOf(service, context.namespace);
  return {
    name: service.metadata.name ?? '',
    namespace: service.metadata.namespace ?? '',
    hostname: serviceHostname(service, context.clusterDomain),
    addresses: clusterIps(service).map((ip) => ({ network: context.network, ip })),
    ports: servicePorts(service),
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: ipFamiliesOf(service),
    canonical: true,
    ingressUseWaypoint: service.metadata.labels?.['istio.io/ingress-use-waypoint'] === 'true',
    visibility: 'public',
    ...(loadBalancing ? { loadBalancing } : {}),
  };
}

function clusterIps(service: Service): string[] {
  const { clusterIP, clusterIPs } = service.spec ?? {};
  const all = clusterIPs && clusterIPs.length > 0 ? clusterIPs : clusterIP ? [clusterIP] : [];
  // "None" of a headless Service is no address either.
  return all.filter((ip) => tryParseIp(ip) !== undefined).map(canonicalIp);
}

function ipFamiliesOf(service: Service): MeshService['ipFamilies'] {
  const families = service.spec?.ipFamilies ?? [];
  if (families.length > 1) return 'dual';
  if (families[0] === 'IPv4') return 'ipv4';
  return families[0] === 'IPv6' ? 'ipv6' : 'automatic';
}

const closest: readonly RoutingScope[] = ['network', 'region', 'zone'];

function loadBalancingOf(service: Service, namespace: Namespace | undefined): LoadBalancing | undefined {
  const healthPolicy = service.spec?.publishNotReadyAddresses === true ? 'allow-all' : 'only-healthy';
  if (service.spec?.internalTrafficPolicy === 'Local')
    return { routingPreference: ['node'], mode: 'strict', healthPolicy };
  const annotation = 'networking.istio.io/traffic-distribution';
  const distribution =
    service.spec?.trafficDistribution ??
    service.metadata.annotations?.[annotation] ??
    namespace?.metadata.annotations?.[annotation];
  if (distribution === 'PreferClose' || distribution === 'PreferSameZone') {
    return { routingPreference: closest, mode: 'failover', healthPolicy };
  }
  if (distribution === 'PreferSameNode') {
    return { routingPreference: [...closest, 'subzone', 'node'], mode: 'failover', healthPolicy };
  }
  return healthPolicy === 'allow-all' ? { routingPreference: [], mode: 'unspecified', healthPolicy } : undefined;
}
