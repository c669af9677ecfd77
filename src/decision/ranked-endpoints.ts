/** The endpoints of a service in the order in which one client prefers them: made once, drawn from by every connection. */
import { serviceKey, type ServiceKey } from '../api/names.ts';
import type { MeshService, MeshWorkload, RoutingScope, ServicePort } from '../api/workload.ts';
import type { Endpoint, EndpointSet, MeshState } from '../mesh/index.ts';
import { hasAddressOf, serviceFamilies, type IpFamilies } from './addresses.ts';

export interface RankRequest {
  readonly mesh: MeshState;
  readonly service: MeshService;
  readonly servicePort: number;
  /** Who asks: decides locality, and which networks are remote. */
  readonly client: MeshWorkload;
  /** The families in which the client can dial. */
  readonly clientFamilies: IpFamilies;
  /** An endpoint with an application tunnel serves ports that it does not list: only for waypoints. */
  readonly allowTunnelPorts?: boolean;
}

export interface RankedEndpoint {
  readonly workload: MeshWorkload;
  /** The endpoint's own port. */
  readonly targetPort: number;
}

/** Endpoints that are as good as each other. */
export interface EndpointGroup {
  readonly endpoints: readonly RankedEndpoint[];
  /** `upTo[i]` is the capacity of the endpoints 0 to i together: a draw is a binary search. */
  readonly upTo: Float64Array;
}

/** Why endpoints do not count, as a person would ask. */
export interface LeftOut {
  readonly total: number;
  readonly unhealthy: number;
  /** Without an address of a family that client and service share. */
  readonly wrongFamily: number;
  /** Not where a strict routing preference wants them. */
  readonly elsewhere: number;
  /** In networks that no gateway joins. */
  readonly unjoined: number;
}

export interface RankedEndpoints {
  /** Best first, none empty. */
  readonly groups: readonly EndpointGroup[];
  readonly leftOut: LeftOut;
}

interface Kept {
  readonly service: MeshService;
  /** By what matters of a client. */
  readonly byClient: Map<string, RankedEndpoints>;
  /** The same by the client itself, which saves making that text for each connection. */
  readonly byWorkload: WeakMap<MeshWorkload, Map<number, RankedEndpoints>>;
}

/**
 * What was ranked, kept with the set of endpoints that it was made of. A service of 10,000 pods is walked once for all connections
 * between two changes of its endpoints, instead of once a connection (bench/micro/endpoints.ts; the plain walk is in the test).
 */
const kept = new WeakMap<EndpointSet, Kept>();

/** Clients of one node differ little; an application that tries all ports of a service must not fill the memory. */
const maxKeptClients = 64;

export function rankEndpoints(request: RankRequest): RankedEndpoints {
  const { mesh, service, client } = request;
  const set = mesh.endpointSet(keyOf(service));
  let known = kept.get(set);
  if (known?.service !== service) {
    known = { service, byClient: new Map(), byWorkload: new WeakMap() };
    kept.set(set, known);
  }
  let ofClient = known.byWorkload.get(client);
  if (!ofClient) known.byWorkload.set(client, (ofClient = new Map()));
  const asked = (request.servicePort * 4 + request.clientFamilies) * 2 + (request.allowTunnelPorts === true ? 1 : 0);
  let ranked = ofClient.get(asked);
  if (ranked) return ranked;
  const id = `${asked} ${clientId(request)}`;
  ranked = known.byClient.get(id) ?? rank(set, request);
  if (known.byClient.size >= maxKeptClients) known.byClient.clear();
  if (ofClient.size >= maxKeptClients) ofClient.clear();
  known.byClient.set(id, ranked);
  ofClient.set(asked, ranked);
  return ranked;
}

/** Made once: a text that was hashed before is found faster. */
const keys = new WeakMap<MeshService, ServiceKey>();

function keyOf(service: MeshService): ServiceKey {
  let key = keys.get(service);
  if (key === undefined) keys.set(service, (key = serviceKey(service.namespace, service.hostname)));
  return key;
}

/** The port of one endpoint for a service port: its own map, the service's target port, or undefined (ambient-l4 4.1). */
export function targetPortOf(
  endpoint: Endpoint,
  service: MeshService,
  servicePort: number,
  allowTunnelPorts = false,
): number | undefined {
  const port = portIn(endpoint.ports, servicePort) || portIn(service.ports, servicePort);
  if (port !== 0) return port;
  if (allowTunnelPorts && endpoint.workload.applicationTunnel) return servicePort;
  return undefined;
}

/** 0: not there, or left open. */
function portIn(ports: readonly ServicePort[], servicePort: number): number {
  for (const port of ports) if (port.servicePort === servicePort) return port.targetPort;
  return 0;
}

/** Equal for clients whose ranking is the same. */
function clientId({ service, client }: RankRequest): string {
  return [client.network, ...preferencesOf(service).map((scope) => scopeValue(scope, client))].join('\n');
}

function rank(set: EndpointSet, request: RankRequest): RankedEndpoints {
  const { service, client } = request;
  const preferences = preferencesOf(service);
  const wanted = preferences.map((scope) => scopeValue(scope, client));
  const strict = service.loadBalancing?.mode === 'strict';
  const byRank: RankedEndpoint[][] = [];
  const leftOut = { total: set.byUid.size, unhealthy: 0, wrongFamily: 0, elsewhere: 0, unjoined: 0 };
  const families = request.clientFamilies & serviceFamilies(service.ipFamilies);
  for (const endpoint of set.byUid.values()) {
    const { workload } = endpoint;
    const targetPort = targetPortOf(endpoint, service, request.servicePort, request.allowTunnelPorts);
    // Capacity 0 is how an endpoint says that it wants no connections.
    if (targetPort === undefined || !(workload.capacity > 0)) continue;
    if (workload.status === 'unhealthy' && service.loadBalancing?.healthPolicy !== 'allow-all') leftOut.unhealthy++;
    else if (isUnjoined(workload, request)) leftOut.unjoined++;
    else if (!isReachable(workload, client, families)) leftOut.wrongFamily++;
    else {
      const at = rankOf(preferences, workload, wanted);
      if (strict && at < topRank(preferences)) leftOut.elsewhere++;
      else (byRank[at] ??= []).push({ workload, targetPort });
    }
  }
  return { groups: byRank.toReversed().flatMap((endpoints) => (endpoints ? groupOf(endpoints) : [])), leftOut };
}

/** A gateway itself may be of the network that it leads to. */
function isUnjoined({ network, networkGateway }: MeshWorkload, { client, allowTunnelPorts }: RankRequest): boolean {
  return network !== client.network && networkGateway === undefined && allowTunnelPorts !== true;
}

/** Names are resolved when they are dialled, and what is behind a gateway is reached at the gateway's address. */
export function isReachable(workload: MeshWorkload, client: MeshWorkload, families: IpFamilies): boolean {
  if (workload.network !== client.network && workload.networkGateway !== undefined) return true;
  if (workload.addresses.length === 0) return workload.hostname !== '';
  return hasAddressOf(workload, families);
}

function groupOf(endpoints: readonly RankedEndpoint[]): EndpointGroup {
  const upTo = new Float64Array(endpoints.length);
  let total = 0;
  for (let i = 0; i < endpoints.length; i++) upTo[i] = total += endpoints[i]?.workload.capacity ?? 0;
  return { endpoints, upTo };
}

const noPreferences: readonly RoutingScope[] = [];

export function preferencesOf({ loadBalancing }: MeshService): readonly RoutingScope[] {
  if (loadBalancing?.mode === 'strict' || loadBalancing?.mode === 'failover') return loadBalancing.routingPreference;
  return noPreferences;
}

/**
 * How many preferences in a row hold. A leading network preference outweighs all the others together, and its failing
 * does not end the count, so that remote endpoints still rank among themselves.
 */
export function rankOf(
  preferences: readonly RoutingScope[],
  workload: MeshWorkload,
  wanted: readonly string[],
): number {
  let rank = 0;
  for (let i = 0; i < preferences.length; i++) {
    const scope = preferences[i] as RoutingScope;
    const holds = scopeValue(scope, workload) === wanted[i];
    if (i === 0 && scope === 'network') rank += holds ? preferences.length : 0;
    else if (holds) rank += 1;
    else break;
  }
  return rank;
}

/** The rank where all preferences hold. */
export function topRank(preferences: readonly RoutingScope[]): number {
  return preferences[0] === 'network' ? preferences.length * 2 - 1 : preferences.length;
}

export function scopeValue(scope: RoutingScope, workload: MeshWorkload): string {
  switch (scope) {
    case 'region':
      return workload.locality.region;
    case 'zone':
      return workload.locality.zone;
    case 'subzone':
      return workload.locality.subzone;
    case 'node':
      return workload.node;
    case 'cluster':
      return workload.clusterId;
    case 'network':
      return workload.network;
  }
}
