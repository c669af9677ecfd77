/** ServiceEntry -> one MeshService per host (ambient-l4, 10.3). */
import type { ServiceEntry } from '../api/istio.ts';
import type { NetworkId } from '../api/names.ts';
import type { LoadBalancing, MeshService, NetworkAddress } from '../api/workload.ts';
import { canonicalIp, formatIp, tryParseCidr, tryParseIp } from '../lib/ip.ts';
import { exported } from './export-to.ts';
import type { NamespaceProfile } from './namespace-profile.ts';
import { portProtocol, type PortProtocol } from './l7/port-protocol.ts';
import { portsOfEntry, servicePorts } from './ports.ts';
import { loadBalancingBy, trafficDistributionAnnotation } from './traffic-distribution.ts';
import type { WaypointBinding } from './waypoint-binding.ts';
import { declaredIngressUse } from './waypoint-labels.ts';

export interface EntryContext {
  readonly network: NetworkId;
  readonly profile: NamespaceProfile;
  readonly binding: WaypointBinding | undefined;
  /** Addresses given to hosts for want of addresses of their own. */
  readonly allocated: ReadonlyMap<string, readonly string[]>;
}

export function isWildcard(host: string): boolean {
  return host.includes('*');
}

/** Hosts, each once. DNS names are compared without their case. */
export function hostsOf(entry: ServiceEntry): string[] {
  return [...new Set(entry.spec.hosts.map((host) => host.toLowerCase()))];
}

/** `canonical` is left to whoever knows the other claimants of a host. Empty for an entry that nobody is to see. */
export function entryServices(entry: ServiceEntry, context: EntryContext): MeshService[] {
  const { profile, binding } = context;
  const { name = '', namespace = '', annotations } = entry.metadata;
  const seen = exported(entry.spec.exportTo, namespace);
  if (seen === 'nobody') return [];
  const declared = (entry.spec.addresses ?? []).flatMap((text) => addressOf(text, context.network));
  const distribution = annotations?.[trafficDistributionAnnotation] ?? profile.trafficDistribution;
  const loadBalancing = isPassthrough(entry) ? passthrough : loadBalancingBy(distribution, 'only-healthy');
  return hostsOf(entry).map((hostname) => ({
    name,
    namespace,
    hostname,
    // Without a waypoint nobody would resolve the names: then clients get the addresses that their own resolvers know.
    addresses:
      isDynamic(entry) && !binding
        ? []
        : declared.length > 0
          ? declared
          : (context.allocated.get(hostname) ?? []).map((ip) => ({ network: context.network, ip })),
    ports: servicePorts(portsOfEntry(entry)),
    subjectAltNames: entry.spec.subjectAltNames ?? [],
    ...(binding?.waypoint ? { waypoint: binding.waypoint } : {}),
    weightedWaypoints: binding?.weighted ?? [],
    ipFamilies: 'automatic',
    canonical: false,
    ingressUseWaypoint: declaredIngressUse(entry.metadata) ?? profile.ingressUseWaypoint,
    ...seen,
    ...(loadBalancing ? { loadBalancing } : {}),
  }));
}

/** What of the entry ztunnels cannot use, in words. */
export function entryProblems(entry: ServiceEntry): string[] {
  const { addresses = [], endpoints = [], resolution } = entry.spec;
  return [
    ...(isDynamic(entry) ? dynamicProblems(entry) : []),
    ...addresses
      .filter((text) => !tryParseCidr(text))
      .map((text) => `address ${JSON.stringify(text)} is no IP or CIDR`),
    ...endpoints.flatMap(({ address = '' }) => endpointProblem(address, resolution) ?? []),
  ];
}

function endpointProblem(address: string, resolution: ServiceEntry['spec']['resolution']): string | undefined {
  if (address.startsWith('unix:')) return `endpoint ${address}: a unix socket cannot be reached through the mesh`;
  if (resolution === 'STATIC' && address !== '' && !tryParseIp(address))
    return `endpoint ${JSON.stringify(address)} is no IP address, as resolution STATIC needs`;
  return undefined;
}

/** The endpoints that ztunnels can use. */
export function usableEndpoints(entry: ServiceEntry): NonNullable<ServiceEntry['spec']['endpoints']> {
  const { endpoints = [], resolution } = entry.spec;
  return isPassthrough(entry) || isDynamic(entry)
    ? []
    : endpoints.filter(({ address = '' }) => endpointProblem(address, resolution) === undefined);
}

/** Goes where the client connected to: resolution NONE, which is the default. */
export function isPassthrough(entry: ServiceEntry): boolean {
  return (entry.spec.resolution ?? 'NONE') === 'NONE';
}

/** Has no endpoints: its waypoint resolves the host that each request names. */
export function isDynamic(entry: ServiceEntry): boolean {
  return entry.spec.resolution === 'DYNAMIC_DNS';
}

/** Whether the host stands for names that may be resolved on request: `*` would be all there are. */
export function isDynamicHost(host: string): boolean {
  return /^\*\.[^*]+$/.test(host);
}

/** What the webhook refuses, where nobody asked it. */
function dynamicProblems(entry: ServiceEntry): string[] {
  const { endpoints = [], ports = [], workloadSelector } = entry.spec;
  const why = 'resolution DYNAMIC_DNS';
  return [
    ...hostsOf(entry)
      .filter((host) => !isDynamicHost(host))
      .map((host) => `${why}: host ${host} does not begin with *., so that its names are not resolved`),
    ...ports
      .filter(({ number, name, protocol }) => namesNoHost(portProtocol({ port: number, name, appProtocol: protocol })))
      .map(({ number }) => `${why}: port ${number} is neither HTTP nor TLS, which name a host: it is not served`),
    ...(endpoints.length > 0 || workloadSelector ? [`${why}: endpoints are not used`] : []),
  ];
}

function namesNoHost(protocol: PortProtocol): boolean {
  return protocol === 'tcp' || protocol === 'udp';
}

const passthrough: LoadBalancing = { routingPreference: [], mode: 'passthrough', healthPolicy: 'allow-all' };

/** A block keeps its length; one of a single address is that address. */
function addressOf(text: string, network: NetworkId): NetworkAddress[] {
  if (tryParseIp(text)) return [{ network, ip: canonicalIp(text) }];
  const cidr = tryParseCidr(text);
  if (!cidr) return [];
  const ip = formatIp(cidr.address);
  return cidr.prefixLength === 8 * cidr.address.length
    ? [{ network, ip }]
    : [{ network, ip, prefixLength: cidr.prefixLength }];
}
