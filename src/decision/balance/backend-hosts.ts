/** The hosts of a backend as the mesh knows them now: who they are, how they are reached, and in which order they are used. */
import type { Backend } from '../../api/l7/index.ts';
import { serviceKey, type NetworkId } from '../../api/names.ts';
import type { GatewayAddress, Locality, MeshService, MeshWorkload } from '../../api/workload.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Endpoint, MeshState } from '../../mesh/index.ts';
import { addressOf, familiesOf, familyOfAddress, serviceFamilies, type IpFamilies } from '../addresses.ts';
import { isWaypointOf } from '../gateways.ts';
import { planGateway } from '../outbound.ts';
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
  /** The workload is in another network; absent: in ours. */
  readonly throughGateway?: RemoteReach;
  /** The bytes are a tunnel that ends there: there is none of ours around it. */
  readonly endsTunnels?: true;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Locality;
  /** As the mesh says. */
  readonly healthy: boolean;
  /** Why it cannot be reached whatever its health, in words. */
  readonly unreachable?: string;
}

/** How the gateway of another network is asked for a host behind it (`planGateway`). */
export interface RemoteReach {
  /** What is asked for; it vouches for who may answer. */
  readonly service: MeshService;
  /** The Service's waypoint's own Service, where the host is a pod of that. */
  readonly waypoint: MeshService | undefined;
  /** Of the Service. */
  readonly port: number;
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
  /** Ours as long as the mesh does not know us; absent: any is taken for ours then. */
  readonly ownNetwork?: NetworkId;
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
      host = hostOf(workload, { service, port: backend.tunnelPort ?? port, priority }, request);
      if (!host) continue;
      // Whether one behind a gateway can be reached depends on other things than itself.
      if (!host.throughGateway) known?.set(endpoint, host);
    }
    hosts.push(host);
  }
  return { hosts, localityWeights: weightsOf(hosts, request) };
}

interface HostPlace {
  readonly service: MeshService;
  readonly port: number;
  readonly priority: number;
  /** The Service that is asked for, where the host is a pod of its waypoint. */
  readonly asked?: MeshService;
}

function hostOf(workload: MeshWorkload, at: HostPlace, request: HostsRequest): HostSpec | undefined {
  const { own, ownAddress, ownNetwork } = request;
  const { service, port, priority } = at;
  // Capacity 0 is how an endpoint says that it wants no connections.
  if (!(workload.capacity > 0)) return undefined;
  const carriesTunnels = request.backend.tunnelPort !== undefined;
  if (carriesTunnels) {
    // Nobody else would end them; waypoints always do. From one network into a third nothing is carried.
    const endsTunnels = at.asked !== undefined || workload.tunnelProtocol === 'hbone';
    if (!endsTunnels || workload.network !== (own?.network ?? ownNetwork)) return undefined;
  }
  if (own && workload.network !== own.network) return remoteHost(workload, at, own, request);
  // What we are not in, or do not know to be in, is never dialled as if it were near.
  if (!own && ownNetwork !== undefined && workload.network !== ownNetwork) return undefined;
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
    ...(carriesTunnels ? { endsTunnels: true } : {}),
    weight: workload.capacity,
    priority,
    locality: workload.locality,
    healthy: isHealthy(workload, service),
  };
}

function isHealthy({ status }: MeshWorkload, { loadBalancing }: MeshService): boolean {
  return status === 'healthy' || loadBalancing?.healthPolicy === 'allow-all';
}

/** Behind the gateway of its network: without one that can be dialled it is no healthy host, so that nearer or other ones serve. */
function remoteHost(workload: MeshWorkload, at: HostPlace, own: MeshWorkload, request: HostsRequest): HostSpec {
  const { mesh, ownAddress, backend } = request;
  const { service, port, priority, asked } = at;
  const reach = { service: asked ?? service, waypoint: asked ? service : undefined, port: backend.port };
  const plan = planGateway(
    { ...reach, workload, drawn: false },
    {
      mesh,
      own,
      clientFamilies: familiesOf(own, ownAddress),
      random: () => 0,
      destinationIp: ownAddress,
      destinationPort: backend.port,
    },
  );
  return {
    key: `${workload.uid}|${port}`,
    workload,
    service,
    address: undefined,
    port,
    families: 0,
    throughGateway: reach,
    weight: workload.capacity,
    priority,
    locality: workload.locality,
    healthy: plan.kind !== 'refuse' && isHealthy(workload, service),
    ...(plan.kind === 'refuse' ? { unreachable: plan.message } : {}),
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
      // The tunnel that is carried has its authority inside.
      const asked = host.endsTunnels ? {} : { throughWaypoint: authority };
      hosts.push({ ...host, key, ...asked, weight: host.weight * weight });
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
    const place = { service, port: hboneMtlsPort, priority: 0, asked: service };
    const host = workload && hostOf(workload, place, request);
    return host ? [host] : [];
  }
  const hosts: HostSpec[] = [];
  const key = serviceKey(gatewayOf.namespace, gatewayOf.hostname);
  for (const endpoint of mesh.endpoints(key).values()) {
    const port = targetPortOf(endpoint, gatewayOf, hboneMtlsPort, true);
    if (port === undefined) continue;
    const host = hostOf(endpoint.workload, { service: gatewayOf, port, priority: 0, asked: service }, request);
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
