/** Service -> MeshService (ambient-l4, 10.3). */
import type { Service } from '../api/core.ts';
import type { NetworkId } from '../api/names.ts';
import type { LoadBalancing, MeshService } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { exported, exportToOfService } from './export-to.ts';
import type { NamespaceProfile } from './namespace-profile.ts';
import { portsOfService, servicePorts } from './ports.ts';
import { loadBalancingBy, trafficDistributionAnnotation } from './traffic-distribution.ts';
import type { WaypointBinding } from './waypoint-binding.ts';
import { declaredIngressUse } from './waypoint-labels.ts';

export interface ServiceContext {
  readonly clusterDomain: string;
  readonly network: NetworkId;
  readonly profile: NamespaceProfile;
  readonly binding: WaypointBinding | undefined;
}

/** DNS name of a Service inside the cluster. */
export function serviceHostname(service: Service, clusterDomain: string): string {
  return `${service.metadata.name}.${service.metadata.namespace}.svc.${clusterDomain}`;
}

/** Whether the Service stands for endpoints of the mesh; ExternalName is only a DNS alias. */
export function isMeshService(service: Service): boolean {
  return service.spec?.type !== 'ExternalName';
}

/** Undefined for a Service that is none of the mesh, or that nobody is to see. */
export function meshService(service: Service, context: ServiceContext): MeshService | undefined {
  if (!isMeshService(service)) return undefined;
  const { profile, binding } = context;
  const { annotations, namespace = '' } = service.metadata;
  const seen = exported(exportToOfService(annotations), namespace);
  if (seen === 'nobody') return undefined;
  const loadBalancing = loadBalancingOf(service, profile.trafficDistribution);
  return {
    name: service.metadata.name ?? '',
    namespace,
    hostname: serviceHostname(service, context.clusterDomain),
    addresses: clusterIps(service).map((ip) => ({ network: context.network, ip })),
    ports: servicePorts(portsOfService(service)),
    subjectAltNames: [],
    ...(binding?.waypoint ? { waypoint: binding.waypoint } : {}),
    weightedWaypoints: binding?.weighted ?? [],
    ipFamilies: ipFamiliesOf(service),
    canonical: true,
    ingressUseWaypoint: declaredIngressUse(service.metadata) ?? profile.ingressUseWaypoint,
    ...seen,
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

function loadBalancingOf(service: Service, ofNamespace: string | undefined): LoadBalancing | undefined {
  const healthPolicy = service.spec?.publishNotReadyAddresses === true ? 'allow-all' : 'only-healthy';
  if (service.spec?.internalTrafficPolicy === 'Local')
    return { routingPreference: ['node'], mode: 'strict', healthPolicy };
  const distribution =
    service.spec?.trafficDistribution ?? service.metadata.annotations?.[trafficDistributionAnnotation] ?? ofNamespace;
  return loadBalancingBy(distribution, healthPolicy);
}
