/** One backend at work: which host gets a request, what is too much, and what is known of failures. */
import type { Backend, RequestedHosts as RequestedHostNames } from '../../api/l7/index.ts';
import { hashText, requestHash, specialOwner } from '../../decision/balance/index.ts';
import type { RequestHead } from '../../http/message.ts';
import { formatHostPort } from '../../lib/ip.ts';
import { Attempt } from './attempt.ts';
import { backendColumns, type SharedCounts } from '../workers/shared-counts.ts';
import type { BackendStats, HostRefusal } from './backend-stats.ts';
import { upstreamFailure } from './failures.ts';
import { grpcHttpStatus } from './grpc-status.ts';
import { hashCookie } from './hash-cookie.ts';
import { Host } from './host.ts';
import { HostPool } from './host-pool.ts';
import { HostSet } from './host-set.ts';
import type { Outliers } from './outlier-watch.ts';
import { plainHttp1, plainHttp2, poolKindOf, protocolOf, splitsPools } from './pool-kind.ts';
import { PassthroughHosts } from './passthrough-hosts.ts';
import type { PoolOwner } from './pool-owner.ts';
import { RequestedHosts } from './requested-hosts.ts';
import { RetryLimits } from './retry-limits.ts';
import type {
  BackendStatus,
  UpstreamClient,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamReader,
  UpstreamRequest,
} from './upstream.ts';

export class BackendPool {
  readonly owner: PoolOwner;
  config: Backend;
  /** With a connection. */
  activeRequests = 0;
  /** Without one yet. */
  pendingRequests = 0;
  /** Open, or being opened. */
  connections = 0;
  /** It is configured no more: connections end as soon as they are idle. */
  isRetired = false;
  readonly stats: BackendStats;
  /** Limits hold for all threads of the process together; undefined: this one is alone. */
  readonly #shared: SharedCounts | undefined;
  readonly #retries: RetryLimits;
  readonly #hosts: HostSet;
  readonly #outliers: Outliers;
  /** Addresses that clients asked for, where they are passed through. */
  readonly #passthrough: PassthroughHosts;
  /** Hosts that clients named, where the backend has such. */
  readonly #requested: RequestedHosts;
  /** Connections differ by client or by the name asked for: see `#poolOf`. */
  #splitsPools = false;

  constructor(owner: PoolOwner, config: Backend) {
    this.owner = owner;
    this.config = config;
    this.stats = owner.stats.open(config.name);
    this.#hosts = new HostSet(owner, config, { onStale: (host) => retirePools(host) });
    const shared = owner.countsOf?.(config.name);
    this.#shared = shared;
    const { activeRequests, pendingRequests, retries } = backendColumns;
    this.#retries = new RetryLimits(owner.clock, config, {
      activeRequests: () =>
        this.activeRequests + this.pendingRequests + this.#elsewhere(activeRequests) + this.#elsewhere(pendingRequests),
      shared: shared && {
        elsewhere: () => shared.elsewhere(retries),
        add: (change) => shared.add(retries, change),
      },
    });
    const { clock, log } = owner;
    this.#outliers = owner.openOutliers(
      {
        clock,
        log,
        stats: this.stats,
        backend: config.name,
        hosts: () => this.#hosts.values(),
        refresh: () => this.#hosts.refresh(),
        onChange: () => {
          this.#hosts.replan();
          owner.onEjections?.(this.config.name, this.#hosts.values());
        },
      },
      config.outlierDetection,
    );
    this.#splitsPools = splitsPools(config);
    this.#passthrough = new PassthroughHosts({ owner, onStale: (host) => retirePools(host) });
    this.#requested = new RequestedHosts({
      nowMs: () => clock.nowMs(),
      meansOther: (hostname, names) => {
        const { namespace = '' } = owner.mesh.service(this.config.service) ?? {};
        return specialOwner(hostname, names, { mesh: owner.mesh, namespace })?.hostname;
      },
      onEvicted: (host) => retirePools(host),
    });
  }

  /** `reconnects`: what connections are made of changed. */
  configure(config: Backend, reconnects: boolean): void {
    this.config = config;
    this.#splitsPools = splitsPools(config);
    this.#retries.configure(config);
    this.#outliers.configure(config.outlierDetection);
    this.#hosts.configure(config);
    if (reconnects) for (const host of this.#allHosts()) retirePools(host);
  }

  /** Follows the mesh although nobody asks. */
  refresh(): void {
    this.#hosts.refresh();
  }

  open(request: UpstreamRequest, reader: UpstreamReader): UpstreamExchange {
    const attempt = new Attempt(this, request, reader);
    this.#retries.onRequest(request.isRetry);
    this.#place(attempt);
    return attempt;
  }

  /** Nothing of it was sent: on another connection, of another host where its own is gone. */
  placeAgain(attempt: Attempt): void {
    const { host } = attempt;
    if (host && (this.#hosts.has(host) || this.#passthrough.has(host) || this.#requested.has(host))) {
      this.#poolOf(host, attempt.request.head, attempt.request.client).place(attempt);
      return;
    }
    this.release(attempt);
    this.#place(attempt);
  }

  /** The attempt is over, or has no host any more. */
  release(attempt: Attempt): void {
    if (attempt.host) attempt.host.activeRequests--;
  }

  // Counts, and what they are limited to.

  countActive(change: 1 | -1): void {
    this.activeRequests += change;
    this.stats.activeRequests += change;
    this.#shared?.add(backendColumns.activeRequests, change);
  }

  countPending(change: 1 | -1): void {
    this.pendingRequests += change;
    this.stats.pendingRequests += change;
    this.#shared?.add(backendColumns.pendingRequests, change);
  }

  countConnections(change: 1 | -1): void {
    this.connections += change;
    this.stats.activeConnections += change;
    this.#shared?.add(backendColumns.connections, change);
  }

  mayStart(): boolean {
    const { maxRequests } = this.config.connectionPool;
    return (
      maxRequests === undefined || this.activeRequests + this.#elsewhere(backendColumns.activeRequests) < maxRequests
    );
  }

  mayWait(): boolean {
    const { maxPendingRequests } = this.config.connectionPool;
    if (maxPendingRequests === undefined) return true;
    return this.pendingRequests + this.#elsewhere(backendColumns.pendingRequests) < maxPendingRequests;
  }

  mayConnect(): boolean {
    const { maxConnections } = this.config.connectionPool;
    return (
      maxConnections === undefined || this.connections + this.#elsewhere(backendColumns.connections) < maxConnections
    );
  }

  overflow(what: string, host: Host): UpstreamFailure {
    this.stats.overflow++;
    return upstreamFailure('overflow', `too many ${what} at ${this.config.name}`, 'no', host.describe());
  }

  #elsewhere(column: number): number {
    return this.#shared === undefined ? 0 : this.#shared.elsewhere(column);
  }

  // What became of requests.

  hasHost(hostKey: string): boolean {
    return this.#hosts.byKey(hostKey) !== undefined;
  }

  /** As another thread saw it; `status` undefined: there was no answer. Undefined: there is no such host any more. */
  noteOutcome(hostKey: string, status: number | undefined): Host | undefined {
    this.#hosts.refresh();
    const host = this.#hosts.byKey(hostKey);
    if (!host) return undefined;
    if (status === undefined) this.#outliers.onFailure(host);
    else this.#outliers.onStatus(host, status);
    return host;
  }

  noteStatus(host: Host, status: number): void {
    this.#outliers.onStatus(host, status);
  }

  noteGrpcStatus(host: Host, grpcStatus: string | undefined): void {
    this.#outliers.onStatus(host, grpcHttpStatus(grpcStatus));
  }

  noteFailure(host: Host): void {
    this.#outliers.onFailure(host);
  }

  /** For raw bytes a connection is all that is known. */
  noteConnected(host: Host): void {
    this.#outliers.onStatus(host, 200);
  }

  onConnectFailure(host: Host, { kind }: UpstreamFailure): void {
    if (host.spec.requestedName !== undefined) {
      // A name that clients made up is no host that failed.
      if (kind === 'name-not-resolved') return this.#countRefusal('unresolved');
      if (kind === 'no-healthy-host') return this.#countRefusal('address');
    }
    this.stats.failedConnects++;
    this.#outliers.onFailure(host);
  }

  #countRefusal(why: HostRefusal): void {
    this.owner.stats.refusedHost(this.config.name, why);
  }

  forgetPool(pool: HostPool): void {
    const { host } = pool;
    host.pools.delete(pool.kind.id);
    this.forgetUnused(host);
  }

  /** Addresses and ports are the clients' choice: one that nobody uses is not kept. */
  forgetUnused(host: Host): void {
    if (host.activeRequests > 0) return;
    if (![host.http1, host.http2, ...host.pools.values()].every((other) => !other || other.isUnused)) return;
    this.#passthrough.forget(host);
    this.#requested.forget(host);
  }

  describe(): BackendStatus {
    this.#hosts.refresh();
    return {
      name: this.config.name,
      activeRequests: this.activeRequests,
      pendingRequests: this.pendingRequests,
      connections: this.connections,
      hosts: [...this.#allHosts()].map((host) => ({
        address: formatHostPort(host.describe().address, host.spec.port),
        workload: host.spec.workload?.uid ?? '',
        weight: host.weight,
        priority: host.priority,
        health: host.isEjected ? ('ejected' as const) : host.healthy ? ('healthy' as const) : ('unhealthy' as const),
        activeRequests: host.activeRequests,
        connections: host.connections,
        ejections: host.outlier.ejections,
      })),
    };
  }

  /** Its connections take no more requests. */
  drain(): void {
    for (const host of this.#allHosts()) retirePools(host);
  }

  startRetry(): { end(): void } | undefined {
    const token = this.#retries.start();
    if (!token) this.stats.retryOverflow++;
    return token;
  }

  /** The backend is gone: what runs on it ends by itself. */
  retire(): void {
    this.isRetired = true;
    this.#outliers.close();
    this.owner.stats.close(this.stats);
    this.drain();
  }

  close(): void {
    this.#outliers.close();
    for (const host of this.#allHosts()) for (const pool of poolsOf(host)) pool.close();
  }

  *#allHosts(): Iterable<Host> {
    yield* this.#hosts.values();
    yield* this.#passthrough.values();
    yield* this.#requested.values();
  }

  #place(attempt: Attempt): void {
    const { request } = attempt;
    const host = this.choose(request.head, request, attempt);
    if (!(host instanceof Host)) {
      attempt.host = undefined;
      return attempt.fail(host);
    }
    attempt.host = host;
    host.activeRequests++;
    this.#poolOf(host, request.head, request.client).place(attempt);
  }

  /** Or why there is none. `head`: of a request; undefined: it is for the bytes of the client. */
  choose(
    head: RequestHead | undefined,
    request: Pick<UpstreamRequest, 'client' | 'avoid' | 'avoidLocalitiesOf' | 'preferred'>,
    attempt?: Attempt,
  ): Host | UpstreamFailure {
    const { loadBalancer, requestedHosts } = this.config;
    if (requestedHosts) return this.#requestedHost(requestedHosts, head ? head.authority : request.client.sni);
    const host =
      loadBalancer.kind === 'passthrough'
        ? (this.#passthrough.choose(this.config.service, request.client.destination) ??
          this.#hosts.plan().pick(undefined))
        : this.#balancedHost(head, request, attempt);
    return host ?? this.#noHealthyHost();
  }

  #requestedHost(names: RequestedHostNames, asked: string | undefined): Host | UpstreamFailure {
    const { name, port } = this.config;
    const found = this.#requested.choose(names, asked, port);
    if (found instanceof Host) return found;
    this.#countRefusal(found.why);
    return upstreamFailure('no-healthy-host', `${name} resolves no such host: ${found.reason}`);
  }

  #balancedHost(
    head: RequestHead | undefined,
    request: Pick<UpstreamRequest, 'client' | 'avoid' | 'avoidLocalitiesOf' | 'preferred'>,
    attempt: Attempt | undefined,
  ): Host | undefined {
    const { loadBalancer } = this.config;
    const plan = this.#hosts.plan();
    if (request.preferred !== undefined && request.avoid?.has(request.preferred) !== true) {
      const preferred = this.#hosts.byUid(request.preferred);
      if (preferred?.healthy === true) return preferred;
    }
    let hash: number | undefined;
    if (loadBalancer.kind === 'consistent-hash') {
      const { on } = loadBalancer;
      if (head) hash = requestHash(on, head, request.client.address);
      else if (on.kind === 'source-ip') hash = hashText(request.client.address);
      if (hash === undefined && attempt && on.kind === 'cookie' && on.ttlSeconds !== undefined) {
        const cookie = hashCookie({ ...on, ttlSeconds: on.ttlSeconds }, this.owner.random);
        attempt.setCookie = cookie.header;
        ({ hash } = cookie);
      }
    }
    const skips = this.#avoidance(request);
    if (!skips) return plan.pick(hash);
    return plan.pick(hash, skips) ?? plan.pick(hash);
  }

  /** Undefined: nobody is avoided. */
  #avoidance({
    avoid,
    avoidLocalitiesOf,
  }: Pick<UpstreamRequest, 'avoid' | 'avoidLocalitiesOf'>): ((host: Host) => boolean) | undefined {
    if ((avoid?.size ?? 0) + (avoidLocalitiesOf?.size ?? 0) === 0) return undefined;
    const priorities = new Set<number>();
    for (const uid of avoidLocalitiesOf ?? []) {
      const host = this.#hosts.byUid(uid);
      if (host) priorities.add(host.priority);
    }
    return ({ spec, priority }) =>
      priorities.has(priority) || (avoid !== undefined && spec.workload !== undefined && avoid.has(spec.workload.uid));
  }

  #noHealthyHost(): UpstreamFailure {
    this.stats.noHost++;
    const { name, service, port } = this.config;
    const total = this.#hosts.size;
    const { ejected } = this.#outliers;
    let unreachable: string | undefined;
    for (const { spec } of this.#hosts.values()) unreachable ??= spec.unreachable;
    let why = `none of ${total} is healthy${ejected > 0 ? `, ${ejected} ejected` : ''}`;
    if (unreachable !== undefined) why += `; ${unreachable}`;
    if (total === 0) {
      const known = this.owner.mesh.endpoints(service).size;
      const unfit = `serves port ${port} where we can reach it, in this network and an IP family of ours, and is of the subset`;
      why = known === 0 ? `${service} has no endpoints` : `none of the ${known} endpoints of ${service} ${unfit}`;
    }
    return upstreamFailure('no-healthy-host', `no healthy host of ${name}: ${why}`);
  }

  #poolOf(host: Host, head: RequestHead, client: UpstreamClient): HostPool {
    if (!this.#splitsPools) {
      if (protocolOf(this.config, head) === 'http1') return (host.http1 ??= new HostPool(host, this, plainHttp1));
      return (host.http2 ??= new HostPool(host, this, plainHttp2));
    }
    const kind = poolKindOf(this.config, head, client);
    let pool = host.pools.get(kind.id);
    if (!pool) {
      if (host.pools.size >= maxPools) retireOldest(host);
      host.pools.set(kind.id, (pool = new HostPool(host, this, kind)));
    }
    return pool;
  }
}

/** Names and clients are the callers' choice: they must not fill the memory with idle connections of one host. */
const maxPools = 1000;

function poolsOf(host: Host): HostPool[] {
  return [host.http1, host.http2, ...host.pools.values()].filter((pool) => pool !== undefined);
}

/** One whose requests all have a connection: they end on it. */
function retireOldest(host: Host): void {
  for (const pool of host.pools.values()) {
    if (pool.hasWaiting) continue;
    host.pools.delete(pool.kind.id);
    pool.retire();
    return;
  }
}

/** Its pools' connections take no more requests; what comes next gets new ones. */
function retirePools(host: Host): void {
  const pools = poolsOf(host);
  host.http1 = undefined;
  host.http2 = undefined;
  host.pools.clear();
  for (const pool of pools) pool.retire();
}
