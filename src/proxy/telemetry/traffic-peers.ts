/** Who sent a request or a connection and who took it, as Istio's metrics name them; remembered, as they repeat. */
import type { DestinationService, ProxySettings } from '../../api/l7/index.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { MeshState } from '../../mesh/index.ts';
import { trafficLabel, type CellSeries } from '../../telemetry/index.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import type { UpstreamHost } from '../upstream/upstream.ts';

export type Role = ProxySettings['role'];

/** What requests and TCP connections have in common. */
export interface Traffic {
  readonly connection: DownstreamConnection;
  readonly service: DestinationService | undefined;
  readonly host: UpstreamHost | undefined;
  readonly backend: string | undefined;
}

/** The pod that the proxy runs in. */
export interface OwnWorkload {
  readonly workload: MeshWorkload | undefined;
  readonly identity: SpiffeId | undefined;
}

/** One pair of peers with one service between them, and the series that count for them. */
export interface PeerEntry {
  /** In the order of `proxyPeerLabelNames`. */
  readonly labels: readonly string[];
  /** `mutual_tls`, `none` or `unknown`. */
  readonly security: string;
  readonly http: Map<number | string, HttpSeries>;
  readonly grpc: Map<string, GrpcSeries>;
  readonly tcp: Map<string, TcpSeries>;
}

/** Absent: not counted here. */
export interface HttpSeries {
  readonly requests: CellSeries | undefined;
  readonly duration: CellSeries | undefined;
  readonly requestBytes: CellSeries | undefined;
  readonly responseBytes: CellSeries | undefined;
}

export interface GrpcSeries {
  readonly requestMessages: CellSeries | undefined;
  readonly responseMessages: CellSeries | undefined;
}

export interface TcpSeries {
  readonly opened: CellSeries | undefined;
  readonly closed: CellSeries | undefined;
  readonly sent: CellSeries | undefined;
  readonly received: CellSeries | undefined;
}

interface SourceEntry {
  readonly byDestination: WeakMap<object, Map<string, PeerEntry>>;
}

export interface TrafficPeersOptions {
  readonly role: Role;
  readonly mesh: MeshState;
  readonly own: () => OwnWorkload;
}

/** In place of a workload that is not known. */
const nobody = {};
/** Identities of one workload, backends of one pair: more than anybody has, but for somebody hostile. */
const mostRemembered = 1024;

// Hot: every request looks its peers up. Workloads are compared as objects (another object after each change of theirs), so that nothing
// is put together or hashed but a name of some 50 characters: 0.1 µs, where making the labels takes 2 (bench/micro/proxy-telemetry.ts).
export class TrafficPeers {
  readonly #options: TrafficPeersOptions;
  readonly #bySource = new WeakMap<object, Map<string, SourceEntry>>();

  constructor(options: TrafficPeersOptions) {
    this.#options = options;
  }

  entry(traffic: Traffic): PeerEntry {
    const { role } = this.#options;
    const { connection, host } = traffic;
    const own = role === 'gateway' ? this.#options.own() : undefined;
    const source = own ? own.workload : connection.sourceWorkload;
    const identity = own ? own.identity : connection.sourceIdentity;
    const bySource = remember(this.#bySource, source ?? nobody, newMap<string, SourceEntry>);
    const { byDestination } = rememberIn(bySource, identity ?? '', newSource);
    const byBackend = remember(byDestination, host?.workload ?? nobody, newMap<string, PeerEntry>);
    const backend = traffic.backend ?? traffic.service?.name ?? '';
    const known = byBackend.get(backend);
    if (known) return known;
    return rememberIn(byBackend, backend, () => this.#create(traffic, source, identity));
  }

  #create(traffic: Traffic, source: MeshWorkload | undefined, identity: SpiffeId | undefined): PeerEntry {
    const { role, mesh } = this.#options;
    const destination = traffic.host?.workload;
    const service = serviceOf(traffic, mesh);
    const values = [
      role === 'waypoint' ? 'waypoint' : 'source',
      source?.workloadName,
      source?.canonicalName,
      source?.canonicalRevision ?? 'latest',
      source?.namespace,
      identity,
      source?.canonicalName,
      source?.canonicalRevision ?? 'latest',
      source?.clusterId,
      destination?.workloadName,
      destination?.namespace,
      destinationIdentity(traffic.host),
      destination?.canonicalName,
      destination?.canonicalRevision ?? 'latest',
      service?.hostname,
      destination?.canonicalName,
      destination?.canonicalRevision ?? 'latest',
      service?.name,
      service?.namespace,
      destination?.clusterId,
    ];
    return {
      labels: values.map(trafficLabel),
      security: role === 'waypoint' ? (identity === undefined ? 'none' : 'mutual_tls') : 'unknown',
      http: new Map(),
      grpc: new Map(),
      tcp: new Map(),
    };
  }
}

/** Of a tunnel the identity that the mesh says the workload has: its peer proved it. */
export function destinationIdentity(host: UpstreamHost | undefined): SpiffeId | undefined {
  if (host?.peer !== undefined || !host?.workload || !host.tunnelled) return host?.peer;
  const { trustDomain, namespace, serviceAccount } = host.workload;
  return serviceAccount === '' ? undefined : spiffeId(trustDomain, namespace, serviceAccount);
}

/** That of the chosen backend, else the one that was asked for. */
function serviceOf(
  { backend, service }: Traffic,
  mesh: MeshState,
): { readonly hostname: string; readonly name: string; readonly namespace: string } | undefined {
  const hostname = backend?.slice(backend.lastIndexOf('|') + 1) ?? service?.hostname;
  if (hostname === undefined) return undefined;
  const preferred = service?.namespace;
  const known = mesh.serviceByHostname(hostname, preferred ?? '', preferred);
  if (known) return known;
  return { hostname, name: hostname.split('.')[0] ?? hostname, namespace: preferred ?? '' };
}

function remember<Value>(map: WeakMap<object, Value>, key: object, create: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
}

function rememberIn<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  let value = map.get(key);
  if (value !== undefined) return value;
  if (map.size >= mostRemembered) map.clear();
  map.set(key, (value = create()));
  return value;
}

function newMap<Key, Value>(): Map<Key, Value> {
  return new Map();
}

function newSource(): SourceEntry {
  return { byDestination: new WeakMap() };
}
