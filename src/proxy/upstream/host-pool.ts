/**
 * The connections of one host that are alike: idle ones in a stack, newest on top, so that what is not needed ends by being idle.
 *
 * A request on an idle connection allocates nothing here and waits for nothing. Others wait in order for a connection to be dialled, or
 * to come free.
 */
import type { ClientConnection, ClientConnectionListener } from '../../http/message.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { ByteChannel } from '../../net/channel.ts';
import type { Attempt } from './attempt.ts';
import type { BackendPool } from './backend-pool.ts';
import type { Connected, ConnectRequest } from './connector.ts';
import type { Host } from './host.ts';
import { connectFailure, upstreamFailure } from './failures.ts';
import type { HostPoolKind } from './pool-kind.ts';
import { PooledConnection } from './pooled-connection.ts';
import type { UpstreamHost } from './upstream.ts';

/** Before a peer says how many streams it takes. */
const assumedStreams = 100;

export class HostPool {
  readonly host: Host;
  readonly backend: BackendPool;
  readonly kind: HostPoolKind;
  /** Connections with room for a request. */
  readonly #ready: PooledConnection[] = [];
  readonly #waiting = new Set<Attempt>();
  readonly #dials = new Set<Dial>();
  #connections = 0;
  #isRetired = false;

  constructor(host: Host, backend: BackendPool, kind: HostPoolKind) {
    this.host = host;
    this.backend = backend;
    this.kind = kind;
  }

  get isUnused(): boolean {
    return this.#connections + this.#dials.size + this.#waiting.size === 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Most streams of ours on one connection. */
  get maxStreams(): number {
    if (this.kind.protocol === 'http1') return 1;
    return this.backend.config.connectionPool.maxConcurrentStreams ?? Infinity;
  }

  /** Sends it on an idle connection, or lets it wait for one. */
  place(attempt: Attempt): void {
    const { backend } = this;
    const connection = attempt.wantsFresh && backend.mayConnect() ? undefined : this.#readyConnection();
    if (connection) {
      if (!backend.mayStart()) return attempt.fail(backend.overflow('requests', this.host));
      this.#start(connection, attempt);
      return;
    }
    if (!backend.mayWait()) return attempt.fail(backend.overflow('pending requests', this.host));
    this.#waiting.add(attempt);
    backend.countPending(1);
    attempt.waitIn(this);
    this.#dialAsNeeded();
  }

  /** An attempt gave up waiting. */
  leave(attempt: Attempt): void {
    if (this.#waiting.delete(attempt)) this.backend.countPending(-1);
  }

  onChange(connection: PooledConnection): void {
    if (this.#isRetired || connection.isRetired) return;
    if (!connection.hasRoom) return;
    if (this.#waiting.size > 0) {
      this.#serve(connection);
      if (!connection.hasRoom) return;
    }
    if (!connection.isReady) {
      connection.isReady = true;
      this.#ready.push(connection);
    }
    if (connection.connection.activeRequests === 0) this.backend.owner.onIdle(connection);
  }

  onClosed(connection: PooledConnection): void {
    this.#connections--;
    this.host.connections--;
    this.backend.countConnections(-1);
    if (connection.isReady) this.#unready(connection);
    this.backend.owner.onConnectionClosed(connection);
    if (this.#isRetired) return;
    if (this.#waiting.size > 0) this.#dialAsNeeded();
    else if (this.isUnused) this.backend.forgetPool(this);
  }

  /** Its connections are of no more use: the running requests end on them, the waiting ones go elsewhere. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    for (const dial of this.#dials) dial.abort();
    this.#ready.length = 0;
    this.backend.owner.retireConnections(this);
    for (const attempt of this.#waiting) {
      this.leave(attempt);
      this.backend.placeAgain(attempt);
    }
  }

  #readyConnection(): PooledConnection | undefined {
    const ready = this.#ready;
    for (;;) {
      const connection = ready[ready.length - 1];
      if (connection === undefined || connection.hasRoom) return connection;
      ready.pop();
      connection.isReady = false;
    }
  }

  /** `connection` has room; it is on top of the stack, or not in it. */
  #start(connection: PooledConnection, attempt: Attempt): void {
    attempt.start(connection);
    const { stats } = this.backend;
    stats.requests++;
    if (attempt.request.isRetry) stats.retries++;
    const limit = this.backend.config.connectionPool.maxRequestsPerConnection ?? 0;
    if (++connection.requests === limit) connection.retire();
    if (connection.isReady && !connection.hasRoom) this.#unready(connection);
  }

  #unready(connection: PooledConnection): void {
    connection.isReady = false;
    const ready = this.#ready;
    if (ready[ready.length - 1] === connection) ready.pop();
    else {
      const at = ready.indexOf(connection);
      if (at >= 0) ready.splice(at, 1);
    }
  }

  #serve(connection: PooledConnection): void {
    const { backend } = this;
    for (const attempt of this.#waiting) {
      if (!connection.hasRoom) return;
      // One that was caught on an ending connection waits for the one that is being dialled.
      if (attempt.wantsFresh && connection.requests > 0 && this.#dials.size > 0) continue;
      this.leave(attempt);
      if (backend.mayStart()) this.#start(connection, attempt);
      else attempt.fail(backend.overflow('requests', this.host));
    }
  }

  #dialAsNeeded(): void {
    const { protocol } = this.kind;
    const perConnection = protocol === 'http1' ? 1 : Math.min(this.maxStreams, assumedStreams);
    while (this.#waiting.size > this.#dials.size * perConnection) {
      // Every host may have one connection, or its requests would wait for ever.
      if (!this.backend.mayConnect() && this.#connections + this.#dials.size > 0) return;
      const dial = new Dial(this);
      this.#dials.add(dial);
      this.backend.countConnections(1);
      dial.start();
    }
  }

  /** What the dial gave, once it takes requests. */
  opened(dial: Dial, connection: PooledConnection): void {
    this.#dials.delete(dial);
    this.backend.stats.connections++;
    this.#connections++;
    this.host.connections++;
    this.backend.owner.onConnectionOpened(connection);
    this.onChange(connection);
    this.#dialAsNeeded();
  }

  failed(dial: Dial, error: Error): void {
    this.#dials.delete(dial);
    this.backend.countConnections(-1);
    if (this.#isRetired) return;
    const failure = connectFailure(error, this.host.describe());
    this.backend.onConnectFailure(this.host, failure);
    // As many as would have been served.
    for (const attempt of this.#waiting) {
      this.leave(attempt);
      attempt.fail(failure);
      if (this.kind.protocol === 'http1') break;
    }
    this.#dialAsNeeded();
    if (this.isUnused) this.backend.forgetPool(this);
  }

  /** The pool ends at once. */
  close(): void {
    this.#isRetired = true;
    for (const dial of this.#dials) dial.abort();
    for (const attempt of this.#waiting) {
      this.leave(attempt);
      attempt.fail(upstreamFailure('connect-failure', 'the proxy is ending', 'no', this.host.describe()));
    }
  }
}

/** One connection on its way: connected, then ready for requests, all within the connect timeout. */
class Dial implements ClientConnectionListener {
  readonly #pool: HostPool;
  readonly #abort = new AbortController();
  #cancelTimeout: (() => void) | undefined;
  #connection: ClientConnection | undefined;
  #host: UpstreamHost | undefined;
  #pooled: PooledConnection | undefined;
  #isOver = false;

  constructor(pool: HostPool) {
    this.#pool = pool;
  }

  start(): void {
    const { backend, host, kind } = this.#pool;
    const { connectTimeoutMs } = backend.config.connectionPool;
    const { clock, connector } = backend.owner;
    this.#cancelTimeout = clock.after(connectTimeoutMs, () => this.#fail(late(connectTimeoutMs, host.describe())));
    const { protocol: use, serverName, client } = kind;
    const request: ConnectRequest = { backend: backend.config, host, use, serverName, client };
    connector.connect(request, this.#abort.signal).then(
      (connected) => this.#connected(connected),
      (error: unknown) => this.#fail(error as Error),
    );
  }

  abort(): void {
    this.#fail(new AmbitError('Cannot connect: given up', { code: 'upstream.aborted', blame: 'internal' }));
  }

  onChange(): void {
    if (this.#pooled) this.#pool.onChange(this.#pooled);
    else if (this.#connection) this.#readyIfOpen(this.#connection);
  }

  onClose(error?: Error): void {
    const pooled = this.#pooled;
    if (pooled) this.#pool.onClosed(pooled);
    else this.#fail(error ?? new Error('The peer closed the connection before it took a request'));
  }

  #connected({ channel, host }: Connected): void {
    if (this.#isOver) return channel.reset();
    this.#host = host;
    const connection = this.#speak(channel);
    this.#connection = connection;
    this.#readyIfOpen(connection);
  }

  #speak(channel: ByteChannel): ClientConnection {
    const { kind, backend } = this.#pool;
    return backend.owner.codecs[kind.protocol](channel, this);
  }

  #readyIfOpen(connection: ClientConnection): void {
    if (this.#isOver || !connection.canOpen || !this.#host) return;
    this.#isOver = true;
    this.#cancelTimeout?.();
    const pool = this.#pool;
    const pooled = new PooledConnection(pool, connection, this.#host, pool.backend.owner.clock.nowMs());
    this.#pooled = pooled;
    pool.opened(this, pooled);
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimeout?.();
    this.#abort.abort(error);
    this.#connection?.close();
    this.#pool.failed(this, error);
  }
}

function late(timeoutMs: number, { address, port }: UpstreamHost): AmbitError {
  return new AmbitError(`Cannot connect to ${address}:${port}: no connection within ${timeoutMs} ms`, {
    code: 'upstream.timeout',
    blame: 'upstream',
  });
}
