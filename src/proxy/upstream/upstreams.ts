/** Makes `Upstreams`: backends by name, and what all of their pools share. */
import type { Backend, TlsSecret } from '../../api/l7/index.ts';
import type { NetworkId, SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { undialledAddress } from '../../decision/balance/index.ts';
import { familiesOf, familyOfAddress } from '../../decision/index.ts';
import { createHttp1Client } from '../../http/h1/index.ts';
import { createHttp2Client } from '../../http/h2/index.ts';
import type { Revocations } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { IpFamilies } from '../../lib/ip-families.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { FoundAddress } from '../../net/index.ts';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import type { SharedCounts } from '../workers/shared-counts.ts';
import type { WorkerShare } from '../workers/share.ts';
import { BackendPool } from './backend-pool.ts';
import { sameConnections, sameSecrets } from './backend-changes.ts';
import { statsOfBackends, type StatsOfBackends } from './backend-stats.ts';
import type { Connector } from './connector.ts';
import { connectRaw } from './connect-raw.ts';
import { upstreamFailure } from './failures.ts';
import { HboneConnector, type ProxyCertificates, type TunnelSource } from './hbone-connector.ts';
import type { HostPool } from './host-pool.ts';
import { MeshConnector, type MeshConnectorOptions } from './mesh-connector.ts';
import { OutlierWatch, type OpenOutliers } from './outlier-watch.ts';
import type { Codecs, PoolOwner } from './pool-owner.ts';
import type { PooledConnection } from './pooled-connection.ts';
import { ServerRevocations } from './server-revocations.ts';
import type {
  BackendStatus,
  UpstreamClient,
  UpstreamConnection,
  UpstreamExchange,
  UpstreamReader,
  UpstreamRequest,
  Upstreams,
} from './upstream.ts';

export interface UpstreamsOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Counts of backends under Envoy's names; absent: nobody looks. */
  readonly metrics?: MetricsRegistry;
  /** The proxy's own workload, once the mesh knows it. */
  readonly own: () => MeshWorkload | undefined;
  /** IP of the proxy. */
  readonly address: string;
  readonly network: NetworkId;
  readonly identity: SpiffeId;
  readonly certificates: ProxyCertificates;
  readonly revocations?: Revocations;
  readonly trustDomainAliases?: () => readonly string[];
  /** What gateways of other networks are told that we are. Default `waypoint`. */
  readonly source?: TunnelSource;
  /** Finds an address of a workload that is known by name alone; `NameResolver.resolve` of `net` does. */
  readonly resolve: (hostname: string, allowed: IpFamilies, preferred: IpFamilies) => Promise<string>;
  /** Addresses of hosts that clients name (`NameResolver.addresses`); absent: there are no such hosts. */
  readonly addressesOf?: (hostname: string, allowed: IpFamilies, preferred: IpFamilies) => AsyncIterable<FoundAddress>;
  /** Default 15008. */
  readonly hbonePort?: number;
  /** Where connections are made from; absent: the process's own namespace. */
  readonly from?: () => { readonly netns: number; readonly mark: number };
  /** Limits hold for all workers together; absent: there are no others. */
  readonly share?: Pick<WorkerShare, 'countsOf' | 'openOutliers'>;
  /** For tests. */
  readonly codecs?: Codecs;
  readonly connector?: Connector;
}

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  return new UpstreamPools(options);
}

/** Idle connections are looked at no oftener. */
const shortestSweepMs = 100;

class UpstreamPools implements Upstreams, PoolOwner {
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: MeshState;
  readonly random: () => number;
  readonly codecs: Codecs;
  readonly connector: Connector;
  readonly address: string;
  readonly network: NetworkId;
  readonly own: () => MeshWorkload | undefined;
  readonly stats: StatsOfBackends;
  readonly openOutliers: OpenOutliers;
  readonly countsOf: (backend: string) => SharedCounts | undefined;
  readonly #meshConnector: MeshConnector | undefined;
  readonly #backends = new Map<string, BackendPool>();
  readonly #connections = new Set<PooledConnection>();
  readonly #stopFollowing: () => void;
  #secrets: ReadonlyMap<string, TlsSecret> = new Map();
  #refreshDue = false;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #sweepAtMs = Infinity;
  #cancelSweep: (() => void) | undefined;

  constructor(options: UpstreamsOptions) {
    const { mesh, clock, log, random, own, address } = options;
    this.mesh = mesh;
    this.clock = clock;
    this.log = log;
    this.random = random;
    this.own = own;
    this.address = address;
    this.network = options.network;
    this.stats = statsOfBackends(options.metrics);
    this.openOutliers = options.share?.openOutliers ?? ((watched, config) => new OutlierWatch(watched, config));
    this.countsOf = (backend) => options.share?.countsOf(backend);
    this.codecs = options.codecs ?? {
      http1: (channel, listener) => createHttp1Client(channel, { listener, clock }),
      http2: (channel, listener) => createHttp2Client(channel, { listener, clock }),
    };
    if (options.connector) this.connector = options.connector;
    else this.connector = this.#meshConnector = createMeshConnector(options, () => this.#retireTunnelled());
    this.#stopFollowing = mesh.subscribe((change) => {
      if (change.kind === 'addresses') this.#refreshLater();
    });
  }

  apply(backends: ReadonlyMap<string, Backend>, secrets: ReadonlyMap<string, TlsSecret>): void {
    const secretsBefore = this.#secrets;
    this.#secrets = secrets;
    this.#meshConnector?.useSecrets(secrets);
    for (const [name, pool] of this.#backends) {
      if (backends.has(name)) continue;
      this.#backends.delete(name);
      pool.retire();
    }
    for (const [name, config] of backends) {
      const pool = this.#backends.get(name);
      if (!pool) {
        this.#backends.set(name, new BackendPool(this, config));
        continue;
      }
      // Most of a new configuration is what it was: then nothing is looked at anew.
      if (pool.config === config && sameSecrets(config, secretsBefore, secrets)) continue;
      pool.configure(config, !sameConnections(pool.config, config, secretsBefore, secrets));
    }
  }

  open(backend: string, request: UpstreamRequest, reader: UpstreamReader): UpstreamExchange {
    const pool = this.#backends.get(backend);
    if (pool && this.#state !== 'closed') return pool.open(request, reader);
    const failure = upstreamFailure('no-backend', `there is no backend "${backend}"`);
    queueMicrotask(() => reader.onClose(failure));
    return overExchange;
  }

  connect(backend: string, client: UpstreamClient, signal: AbortSignal): Promise<UpstreamConnection> {
    const pool = this.#state === 'closed' ? undefined : this.#backends.get(backend);
    return connectRaw(backend, pool, client, signal);
  }

  describe(): readonly BackendStatus[] {
    return [...this.#backends.values()].map((pool) => pool.describe());
  }

  startRetry(backend: string): { end(): void } | undefined {
    return this.#backends.get(backend)?.startRetry();
  }

  drain(): void {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    for (const pool of this.#backends.values()) pool.drain();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopFollowing();
    this.#cancelSweep?.();
    for (const pool of this.#backends.values()) pool.close();
    for (const { connection } of this.#connections) connection.close();
    this.connector.close();
  }

  // What pools ask for.

  onConnectionOpened(connection: PooledConnection): void {
    this.#connections.add(connection);
    const { maxConnectionDurationMs } = connection.pool.backend.config.connectionPool;
    if (maxConnectionDurationMs !== undefined) this.#sweepBy(connection.openedMs + maxConnectionDurationMs);
  }

  onConnectionClosed(connection: PooledConnection): void {
    this.#connections.delete(connection);
  }

  onIdle(connection: PooledConnection): void {
    connection.idleSinceMs = this.clock.nowMs();
    const { backend } = connection.pool;
    if (this.#state === 'draining' || backend.isRetired) return connection.retire();
    const { idleTimeoutMs } = backend.config.connectionPool;
    if (idleTimeoutMs > 0) this.#sweepBy(connection.idleSinceMs + idleTimeoutMs);
  }

  retireConnections(pool: HostPool): void {
    for (const connection of this.#connections) if (connection.pool === pool) connection.retire();
  }

  // What happens by itself.

  #refreshLater(): void {
    if (this.#refreshDue) return;
    this.#refreshDue = true;
    setImmediate(() => {
      this.#refreshDue = false;
      if (this.#state === 'closed') return;
      for (const pool of this.#backends.values()) pool.refresh();
    });
  }

  #retireTunnelled(): void {
    for (const connection of this.#connections) if (connection.host.tunnelled) connection.retire();
  }

  /** One timer for all connections. The first to become idle is the first to end, so that a request costs no timer. */
  #sweepBy(atMs: number): void {
    if (atMs >= this.#sweepAtMs || this.#state === 'closed') return;
    this.#cancelSweep?.();
    this.#sweepAtMs = atMs;
    const delayMs = Math.max(atMs - this.clock.nowMs(), shortestSweepMs);
    this.#cancelSweep = this.clock.after(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweepAtMs = Infinity;
    this.#cancelSweep = undefined;
    const nowMs = this.clock.nowMs();
    let nextMs = Infinity;
    for (const connection of this.#connections) {
      if (connection.isRetired) continue;
      const dueMs = dueAt(connection);
      if (dueMs <= nowMs) connection.retire();
      else nextMs = Math.min(nextMs, dueMs);
    }
    if (nextMs < Infinity) this.#sweepBy(nextMs);
  }
}

/** When it has been idle, or there, for long enough. */
function dueAt({ connection, idleSinceMs, openedMs, pool }: PooledConnection): number {
  const { idleTimeoutMs, maxConnectionDurationMs = Infinity } = pool.backend.config.connectionPool;
  const idleUntilMs = connection.activeRequests === 0 && idleTimeoutMs > 0 ? idleSinceMs + idleTimeoutMs : Infinity;
  return Math.min(idleUntilMs, openedMs + maxConnectionDurationMs);
}

function createMeshConnector(options: UpstreamsOptions, onRotated: () => void): MeshConnector {
  const { own, address, resolve, from, identity, certificates, network, revocations, clock, log } = options;
  const { mesh, random, source: role = 'waypoint' } = options;
  const source = from ? { from } : {};
  const hbone = new HboneConnector(
    {
      mesh,
      random,
      own,
      ownAddress: address,
      resolve,
      source: role,
      identity,
      certificates,
      network,
      clock,
      log,
      ...source,
      ...(revocations ? { revocations } : {}),
      trustDomainAliases: options.trustDomainAliases ?? (() => noAliases),
      hbonePort: options.hbonePort ?? 15_008,
    },
    onRotated,
  );
  const serverRevocations = new ServerRevocations({ onRevoked: (role) => revocations?.refused(role), log });
  const requested = requestedNames(options);
  return new MeshConnector({
    hbone,
    ownAddress: address,
    resolve,
    serverRevocations,
    ...(requested ? { requested } : {}),
    ...source,
  });
}

/** In families of ours alone, our own first. */
function requestedNames(options: UpstreamsOptions): MeshConnectorOptions['requested'] {
  const { addressesOf, own, address, mesh, network } = options;
  if (!addressesOf) return undefined;
  return {
    addresses(hostname) {
      const workload = own();
      const preferred = familyOfAddress(address);
      return addressesOf(hostname, workload ? familiesOf(workload, address) : preferred, preferred);
    },
    refusal: (ip) => undialledAddress(ip, { mesh, own: own(), ownAddress: address, network }),
  };
}

const noAliases: readonly string[] = [];

const overExchange: UpstreamExchange = {
  write: () => 0,
  end() {},
  credit() {},
  reset() {},
};
