/** The hosts of a backend as the mesh knows them now: who they are, how they are reached, and in which order they are used. */
import type { Backend } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import type { GatewayAddress, Locality, MeshService, MeshWorkload } from '../../api/workload.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Endpoint, MeshState } from '../../mesh/index.ts';
import { addressOf, familiesOf, familyOfAddress, serviceFamilies, type IpFamilies } from '../addresses.ts';
import { gatewayService, isWaypointOf } from '../gateways.ts';
import { isReachable, preferencesOf, rankOf, scopeValue, targetPortOf, topRank } from '../ranked-endpoints.ts';
import { distributeWeights, localityPriority } from './locality-rules.ts';

export interface HostSpec {
  /** Names the host for as long as it lives. */
  readonly key: string;
  readonly workload: MeshWorkload;
  /** May vouch for identities beside the workload's own. */
  readonly service: MeshService;
  /** Undefined: the workload is known by name alone. */
  readonly address: string | undefined;
  /** The application's own; at a waypoint, its HBONE port. */
  readonly port: number;
  readonly families: IpFamilies;
  /** What a waypoint is asked for; absent: the host itself is the end. */
  readonly throughWaypoint?: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Locality;
  /** As the mesh says. */
  readonly healthy: boolean;
}

export interface BackendHosts {
  readonly hosts: readonly HostSpec[];
  readonly localityWeights: ReadonlyMap<string, number> | undefined;
}

export interface HostsRequest {
  readonly mesh: MeshState;
  readonly backend: Backend;
  /** The proxy's own workload, once the mesh knows it: for its locality and its network. */
  readonly own: MeshWorkload | undefined;
  /** Address of ours; decides the IP families in which we can dial. */
  readonly ownAddress: string;
}

export const noHosts: BackendHosts = { hosts: [], localityWeights: undefined };

export function backendHosts(request: HostsRequest): BackendHosts {
  const { mesh, backend, own } = request;
  const service = mesh.service(backend.service);
  if (!service) return noHosts;
  if (backend.throughWaypoint) {
    const waypoints = weightedWaypoints(service);
    if (waypoints.length > 0 && !(own && isWaypointOf(own, service, mesh)))
      return { hosts: waypointHosts(service, waypoints, request), localityWeights: undefined };
  }
  const members = backend.members && new Map(backend.members.map((member) => [member.workload, member]));
  const hosts: HostSpec[] = [];
  for (const endpoint of mesh.endpoints(backend.service).values()) {
    if (members && !members.has(endpoint.workload.uid)) continue;
    const port = targetPortOf(endpoint, service, backend.port);
    const host = port === undefined ? undefined : hostOf(endpoint, service, port, request);
    if (host) hosts.push(host);
  }
  return placed(hosts, service, members, request);
}

function hostOf(
  { workload }: Endpoint,
  service: MeshService,
  port: number,
  { own, ownAddress }: HostsRequest,
): HostSpec | undefined {
  // Capacity 0 is how an endpoint says that it wants no connections.
  if (!(workload.capacity > 0)) return undefined;
  if (own && workload.network !== own.network) return undefined;
  const ownFamilies = own ? familiesOf(own, ownAddress) : familyOfAddress(ownAddress);
  const families = ownFamilies & serviceFamilies(service.ipFamilies);
  if (!isReachable(workload, own ?? workload, families)) return undefined;
  return {
    key: `${workload.uid}|${port}`,
    workload,
    service,
    address: addressOf(workload, ownAddress, families),
    port,
    families,
    weight: workload.capacity,
    priority: 0,
    locality: workload.locality,
    healthy: workload.status === 'healthy' || service.loadBalancing?.healthPolicy === 'allow-all',
  };
}

/** Who decides the order: the members' own priorities, shares of localities, the Service's preference, distance. */
function placed(
  hosts: readonly HostSpec[],
  service: MeshService,
  members: ReadonlyMap<WorkloadUid, { readonly priority?: number }> | undefined,
  { backend, own }: HostsRequest,
): BackendHosts {
  const { locality, outlierDetection } = backend;
  const near = own ? strictlyNear(hosts, service, own) : hosts;
  if (members && [...members.values()].some(({ priority }) => priority !== undefined)) {
    const prioritised = near.map((host) => withPriority(host, members.get(host.workload.uid)?.priority ?? 0));
    return { hosts: prioritised, localityWeights: undefined };
  }
  if (!own || !locality.enabled) return { hosts: near, localityWeights: undefined };
  if (locality.distribute.length > 0) {
    const localityWeights = distributeWeights(own.locality, locality.distribute, near);
    return { hosts: near, localityWeights };
  }
  if (locality.forced && service.loadBalancing?.mode === 'failover') {
    const preferences = preferencesOf(service);
    const wanted = preferences.map((scope) => scopeValue(scope, own));
    const top = topRank(preferences);
    const ranked = near.map((host) => withPriority(host, top - rankOf(preferences, host.workload, wanted)));
    return { hosts: ranked, localityWeights: undefined };
  }
  // Without outlier detection nobody would notice that the near ones fail, so nobody is preferred.
  if (!locality.forced && !outlierDetection) return { hosts: near, localityWeights: undefined };
  const byDistance = near.map((host) =>
    withPriority(host, localityPriority(own.locality, host.locality, locality.failover)),
  );
  return { hosts: byDistance, localityWeights: undefined };
}

function withPriority(host: HostSpec, priority: number): HostSpec {
  return host.priority === priority ? host : { ...host, priority };
}

/** `internalTrafficPolicy: Local` and the like: nobody else will do. */
function strictlyNear(hosts: readonly HostSpec[], service: MeshService, own: MeshWorkload): readonly HostSpec[] {
  if (service.loadBalancing?.mode !== 'strict') return hosts;
  const preferences = preferencesOf(service);
  const wanted = preferences.map((scope) => scopeValue(scope, own));
  const top = topRank(preferences);
  return hosts.filter((host) => rankOf(preferences, host.workload, wanted) >= top);
}

interface WeightedGateway {
  readonly gateway: GatewayAddress;
  readonly weight: number;
}

function weightedWaypoints(service: MeshService): WeightedGateway[] {
  const weighted = service.weightedWaypoints.filter(({ weight }) => weight > 0);
  if (weighted.length > 0) return weighted.map(({ destination, weight }) => ({ gateway: destination, weight }));
  return service.waypoint ? [{ gateway: service.waypoint, weight: 1 }] : [];
}

/** A waypoint that is required and has no ready pod leaves no hosts: it is never bypassed. */
function waypointHosts(service: MeshService, waypoints: readonly WeightedGateway[], request: HostsRequest): HostSpec[] {
  const { mesh, own, backend } = request;
  const authority = formatHostPort(virtualAddress(service, request) ?? service.hostname, backend.port);
  const hosts: HostSpec[] = [];
  for (const { gateway, weight } of waypoints) {
    const gatewayOf = own && gatewayService(gateway, own, mesh);
    if (!gatewayOf) continue;
    const endpoints = mesh.endpoints(`${gatewayOf.namespace}/${gatewayOf.hostname}` as Backend['service']);
    for (const endpoint of endpoints.values()) {
      const port = targetPortOf(endpoint, gatewayOf, gateway.hboneMtlsPort, true);
      const host = port === undefined ? undefined : hostOf(endpoint, gatewayOf, port, request);
      if (host)
        hosts.push({
          ...host,
          key: `${host.key}|${authority}`,
          throughWaypoint: authority,
          weight: host.weight * weight,
        });
    }
  }
  return hosts;
}

/** The Service's address in our own network, of our own family where there is one. */
function virtualAddress(service: MeshService, { own, ownAddress }: HostsRequest): string | undefined {
  const single = service.addresses.filter(({ prefixLength }) => prefixLength === undefined);
  const near = single.filter(({ network }) => network === own?.network);
  const wanted = familyOfAddress(ownAddress);
  return (near.find(({ ip }) => familyOfAddress(ip) === wanted) ?? near[0])?.ip;
}
