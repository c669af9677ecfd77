/** The hosts of a backend as the mesh knows them now: who they are, how they are reached, and in which order they are used. */
import type { Backend } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import type { GatewayAddress, Locality, MeshService, MeshWorkload } from '../../api/workload.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Endpoint, MeshState } from '../../mesh/index.ts';
import { addressOf, familiesOf, familyOfAddress, serviceFamilies, type IpFamilies } from '../addresses.ts';
import { isWaypointOf } from '../gateways.ts';
import { isReachable, preferencesOf, rankOf, scopeValue, targetPortOf, topRank } from '../ranked-endpoints.ts';
import { distributeWeights, localityPriority, stepPriority } from './locality-rules.ts';

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
  /**
   * What was made of endpoints before, for the same backend, Service, own workload and address. An endpoint that did not change is
   * then the same host, so that one change among 10,000 endpoints costs little (bench/micro/upstream.ts).
   */
  readonly known?: KnownHosts;
}

export type KnownHosts = WeakMap<Endpoint, HostSpec>;

const noHosts: BackendHosts = { hosts: [], localityWeights: undefined };

export function backendHosts(request: HostsRequest): BackendHosts {
  const { mesh, backend, own, known } = request;
  const service = mesh.service(backend.service);
  if (!service) return noHosts;
  if (backend.throughWaypoint) {
    const waypoints = weightedWaypoints(service);
    if (waypoints.length > 0 && !(own && isWaypointOf(own, service, mesh)))
      return { hosts: waypointHosts(service, waypoints, request), localityWeights: undefined };
  }
  const members = backend.members && new Set(backend.members.map(({ workload }) => workload));
  const place = placement(service, request);
  const hosts: HostSpec[] = [];
  for (const endpoint of mesh.endpoints(backend.service).values()) {
    let host = known?.get(endpoint);
    if (!host) {
      const { workload } = endpoint;
      const priority = members && !members.has(workload.uid) ? undefined : place(workload);
      const port = priority === undefined ? undefined : targetPortOf(endpoint, service, backend.port);
      if (priority === undefined || port === undefined) continue;
      host = hostOf(workload, { service, port, priority }, request);
      if (!host) continue;
      known?.set(endpoint, host);
    }
    hosts.push(host);
  }
  return { hosts, localityWeights: weightsOf(hosts, request) };
}

function hostOf(
  workload: MeshWorkload,
  at: { readonly service: MeshService; readonly port: number; readonly priority: number },
  { own, ownAddress }: HostsRequest,
): HostSpec | undefined {
  const { service, port, priority } = at;
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
    priority,
    locality: workload.locality,
    healthy: workload.status === 'healthy' || service.loadBalancing?.healthPolicy === 'allow-all',
  };
}

/** The priority of a workload; undefined: it is none of ours. */
type Placement = (workload: MeshWorkload) => number | undefined;

/** `internalTrafficPolicy: Local` and the like: nobody but the near will do. */
function placement(service: MeshService, request: HostsRequest): Placement {
  const { own } = request;
  const place = preference(service, request);
  if (!own || service.loadBalancing?.mode !== 'strict') return place;
  const preferences = preferencesOf(service);
  const wanted = preferences.map((scope) => scopeValue(scope, own));
  const top = topRank(preferences);
  return (workload) => (rankOf(preferences, workload, wanted) < top ? undefined : place(workload));
}

/** Who decides the order: the Service's preference, what was said to be near, distance. */
function preference(service: MeshService, { backend, own }: HostsRequest): Placement {
  const { locality, outlierDetection } = backend;
  if (!own || !locality.enabled || locality.distribute.length > 0) return first;
  if (locality.forced && service.loadBalancing?.mode === 'failover') {
    const preferences = preferencesOf(service);
    const wanted = preferences.map((scope) => scopeValue(scope, own));
    const top = topRank(preferences);
    return (workload) => top - rankOf(preferences, workload, wanted);
  }
  // Without outlier detection nobody would notice that the near ones fail, so nobody is preferred.
  if (!locality.forced && !outlierDetection) return first;
  const { failoverPriority } = locality;
  if (failoverPriority) return (workload) => stepPriority(failoverPriority, own, workload);
  return (workload) => localityPriority(own.locality, workload.locality, locality.failover);
}

const first: Placement = () => 0;

function weightsOf(hosts: readonly HostSpec[], { backend, own }: HostsRequest): BackendHosts['localityWeights'] {
  const { enabled, distribute } = backend.locality;
  if (!own || !enabled || distribute.length === 0) return undefined;
  return distributeWeights(own.locality, distribute, hosts);
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
  const authority = formatHostPort(virtualAddress(service, request) ?? service.hostname, request.backend.port);
  const hosts: HostSpec[] = [];
  for (const { gateway, weight } of waypoints) {
    for (const host of gatewayHosts(gateway, service, request)) {
      const key = `${host.key}|${authority}`;
      hosts.push({ ...host, key, throughWaypoint: authority, weight: host.weight * weight });
    }
  }
  return hosts;
}

function gatewayHosts(gateway: GatewayAddress, service: MeshService, request: HostsRequest): HostSpec[] {
  const { mesh, own } = request;
  const { destination, hboneMtlsPort } = gateway;
  const gatewayOf =
    destination.kind === 'hostname'
      ? mesh.service(serviceKey(destination.namespace, destination.hostname))
      : own && mesh.serviceByVip(destination.address.network, destination.address.ip, own.namespace);
  if (!gatewayOf) {
    if (destination.kind === 'hostname') return [];
    // The address of a pod.
    const workload = mesh.workloadByIp(destination.address.network, destination.address.ip);
    const host = workload && hostOf(workload, { service, port: hboneMtlsPort, priority: 0 }, request);
    return host ? [host] : [];
  }
  const hosts: HostSpec[] = [];
  const key = serviceKey(gatewayOf.namespace, gatewayOf.hostname);
  for (const endpoint of mesh.endpoints(key).values()) {
    const port = targetPortOf(endpoint, gatewayOf, hboneMtlsPort, true);
    if (port === undefined) continue;
    const host = hostOf(endpoint.workload, { service: gatewayOf, port, priority: 0 }, request);
    if (host) hosts.push(host);
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
