/** HBONE pool: CONNECT tunnels over few shared connections, dialed on demand, one dial at a time for each key. */
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Abortable } from '../lib/light-signal.ts';
import { type Log, silentLog } from '../lib/log.ts';
import { messageOf } from '../lib/errors.ts';
import type { ByteChannel } from '../net/channel.ts';
import { Http2Session, type Http2Limits, type ReceiveBudget } from '../http/h2/index.ts';
import { ConnectAttempt, connectHead, type TunnelChannel, type TunnelRequest } from './connect-attempt.ts';
import { dialFailed, dialTimeout, hboneAborted, hboneClosed } from './errors.ts';
import type { IdleBound, IdleConnection, IdleHolder } from './idle-tunnels.ts';
import type { PoolKey } from './pool-key.ts';
import { hboneLimits } from './settings.ts';

export interface HbonePoolLimits {
  /** Tunnels on one connection, if the peer allows as many. */
  readonly maxStreams: number;
  /** Connect, handshake and the peer's SETTINGS together. */
  readonly dialTimeoutMs: number;
  /** A connection without tunnels is closed after this. */
  readonly idleReleaseMs: number;
  /** Requests of one key that wait for a connection. */
  readonly maxWaiting: number;
}

export const defaultHbonePoolLimits: HbonePoolLimits = {
  maxStreams: 100,
  dialTimeoutMs: 10_000,
  idleReleaseMs: 300_000,
  maxWaiting: 10_000,
};

export interface HbonePoolOptions<K extends PoolKey> {
  /** Opens a connection: TCP, TLS and its checks done, ALPN h2, nothing read. `signal` aborts at the timeout. */
  readonly dial: (key: K, signal: AbortSignal) => Promise<ByteChannel>;
  readonly limits?: Partial<HbonePoolLimits>;
  readonly settings?: Partial<Http2Limits>;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly budget?: ReceiveBudget;
  /** Shared with other pools: how many connections may be without tunnels in all. */
  readonly idle?: IdleBound;
}

export interface PooledConnectionInfo<K extends PoolKey> {
  readonly key: K;
  readonly tunnels: number;
  readonly state: 'dialing' | 'usable' | 'full' | 'closing';
}

export interface HbonePool<K extends PoolKey> {
  /**
   * A tunnel, once the peer answered 2xx. Rejects with `hbone.refused` (HboneRefusedError), `hbone.dial-failed`,
   * `hbone.dial-timeout`, `hbone.closed`, `hbone.aborted`.
   */
  connect(key: K, request: TunnelRequest, signal?: Abortable): Promise<TunnelChannel>;
  /** No new tunnels; connections close when their last one ends. */
  drain(): void;
  /** Cuts the connections, dials and waiting requests of the keys chosen; without a choice all, for good. */
  close(predicate?: (key: K) => boolean, error?: Error): void;
  list(): PooledConnectionInfo<K>[];
  readonly stats: HbonePoolStats;
}

export interface HbonePoolStats {
  readonly connections: number;
  readonly tunnels: number;
  readonly dialing: number;
  readonly waiting: number;
}

export function createHbonePool<K extends PoolKey>(options: HbonePoolOptions<K>): HbonePool<K> {
  return new Pool(options);
}

/** All that the pool has for one key. */
interface Peer<K extends PoolKey> {
  readonly key: K;
  readonly connections: Set<Connection>;
  readonly waiting: Set<ConnectAttempt>;
  /** Ends the dial under way. */
  abortDial: ((error: Error) => void) | undefined;
}

interface Connection {
  readonly session: Http2Session;
  /** Since when it has no tunnels. */
  idleSinceMs: number;
}

class Pool<K extends PoolKey> implements HbonePool<K>, IdleHolder {
  readonly #options: HbonePoolOptions<K>;
  readonly #limits: HbonePoolLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #peers = new Map<string, Peer<K>>();
  #state: 'open' | 'draining' | 'closed' = 'open';
  #cancelSweep: (() => void) | undefined;
  /** Connections. */
  size = 0;

  constructor(options: HbonePoolOptions<K>) {
    this.#options = options;
    this.#limits = { ...defaultHbonePoolLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog();
    options.idle?.join(this);
  }

  connect(key: K, request: TunnelRequest, signal?: Abortable): Promise<TunnelChannel> {
    if (this.#state !== 'open') return Promise.reject(hboneClosed('the pool is closed'));
    if (signal?.aborted) return Promise.reject(hboneAborted(signal.reason));
    const head = connectHead(request);
    return new Promise((resolve, reject) => {
      const attempt = new ConnectAttempt({
        head,
        resolve,
        reject,
        signal,
        retry: (again) => this.#place(key, again),
      });
      this.#place(key, attempt);
    });
  }

  drain(): void {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    for (const peer of this.#peers.values()) {
      this.#failWaiting(peer, hboneClosed('the pool is closed'));
      peer.abortDial?.(hboneClosed('the pool is closed'));
      for (const { session } of peer.connections) session.drain();
    }
  }

  close(predicate?: (key: K) => boolean, error: Error = hboneClosed('the pool is closed')): void {
    if (!predicate) {
      this.#state = 'closed';
      this.#cancelSweep?.();
      this.#options.idle?.leave(this);
    }
    for (const peer of this.#peers.values()) {
      if (predicate && !predicate(peer.key)) continue;
      this.#failWaiting(peer, error);
      peer.abortDial?.(error);
      for (const { session } of peer.connections) session.close(error);
    }
  }

  list(): PooledConnectionInfo<K>[] {
    const found: PooledConnectionInfo<K>[] = [];
    for (const { key, connections, abortDial } of this.#peers.values()) {
      if (abortDial) found.push({ key, tunnels: 0, state: 'dialing' });
      for (const connection of connections) {
        const { session } = connection;
        const state = this.#hasRoom(connection) ? 'usable' : session.usable ? 'full' : 'closing';
        found.push({ key, tunnels: session.activeStreams, state });
      }
    }
    return found;
  }

  get stats(): HbonePoolStats {
    const stats = { connections: 0, tunnels: 0, dialing: 0, waiting: 0 };
    for (const peer of this.#peers.values()) {
      stats.connections += peer.connections.size;
      stats.waiting += peer.waiting.size;
      if (peer.abortDial) stats.dialing++;
      for (const { session } of peer.connections) stats.tunnels += session.activeStreams;
    }
    return stats;
  }

  /** Opens the stream on a connection with room, or waits for one. */
  #place(key: K, attempt: ConnectAttempt): void {
    if (this.#state !== 'open') {
      attempt.fail(hboneClosed('the pool is closed'));
      return;
    }
    const peer = this.#peerOf(key);
    for (const connection of peer.connections) {
      if (!this.#hasRoom(connection)) continue;
      attempt.open(connection.session);
      return;
    }
    if (peer.waiting.size >= this.#limits.maxWaiting) {
      attempt.fail(hboneClosed('too many requests wait for the same connection'));
      return;
    }
    peer.waiting.add(attempt);
    const onSettled = (): void => void peer.waiting.delete(attempt);
    attempt.onSettled = onSettled;
    if (!peer.abortDial) this.#dial(peer);
  }

  #hasRoom({ session }: Connection): boolean {
    return session.canOpen && session.activeStreams < this.#limits.maxStreams;
  }

  #peerOf(key: K): Peer<K> {
    let peer = this.#peers.get(key.id);
    if (!peer)
      this.#peers.set(key.id, (peer = { key, connections: new Set(), waiting: new Set(), abortDial: undefined }));
    return peer;
  }

  #dial(peer: Peer<K>): void {
    const { dialTimeoutMs } = this.#limits;
    const abort = new AbortController();
    let session: Http2Session | undefined;
    let over = false;
    const finish = (): void => {
      over = true;
      cancelTimeout();
      peer.abortDial = undefined;
    };
    const fail = (error: Error): void => {
      if (over) return;
      finish();
      abort.abort(error);
      session?.close(error);
      this.#log.debug('Dial failed', { key: peer.key.id, error: messageOf(error) });
      this.#failWaiting(peer, error);
      this.#forgetIfUnused(peer);
    };
    const cancelTimeout = this.#clock.after(dialTimeoutMs, () => fail(dialTimeout(dialTimeoutMs)));
    peer.abortDial = fail;
    this.#options.dial(peer.key, abort.signal).then(
      (channel) => {
        if (over) return channel.reset();
        session = this.#openSession(peer, channel, { onReady: finish, onFailed: (error) => fail(dialFailed(error)) });
      },
      (error: unknown) => fail(dialFailed(error)),
    );
  }

  #openSession(
    peer: Peer<K>,
    channel: ByteChannel,
    events: { onReady: () => void; onFailed: (error: Error) => void },
  ): Http2Session {
    const { settings, clock, budget } = this.#options;
    let connection: Connection | undefined;
    const session: Http2Session = new Http2Session({
      role: 'client',
      channel,
      limits: hboneLimits(settings),
      ...(clock ? { clock } : {}),
      ...(budget ? { budget } : {}),
      handler: {
        onReady: () => {
          events.onReady();
          connection = { session, idleSinceMs: this.#clock.nowMs() };
          peer.connections.add(connection);
          this.size++;
          this.#serveWaiting(peer, connection);
        },
        onChange: () => {
          if (connection) this.#onChange(peer, connection);
        },
        onClose: (error) => {
          if (connection) {
            peer.connections.delete(connection);
            this.size--;
            this.#forgetIfUnused(peer);
          } else events.onFailed(error ?? new Error('The peer closed the connection'));
        },
      },
    });
    session.start();
    return session;
  }

  #onChange(peer: Peer<K>, connection: Connection): void {
    if (peer.waiting.size > 0 && this.#hasRoom(connection)) this.#serveWaiting(peer, connection);
    if (connection.session.activeStreams > 0) return;
    connection.idleSinceMs = this.#clock.nowMs();
    this.#scheduleSweep(this.#limits.idleReleaseMs);
    this.#options.idle?.note();
  }

  idle(): IdleConnection[] {
    return [...this.#peers.values()].flatMap(({ connections }) =>
      [...connections]
        .filter(({ session }) => session.activeStreams === 0 && session.usable)
        .map(({ session, idleSinceMs }) => ({ idleSinceMs, close: () => session.drain() })),
    );
  }

  /** A connection has room: those who wait share it; if some are left, the next is dialed. */
  #serveWaiting(peer: Peer<K>, connection: Connection): void {
    for (const attempt of peer.waiting) {
      if (!this.#hasRoom(connection)) break;
      peer.waiting.delete(attempt);
      attempt.open(connection.session);
    }
    if (connection.session.activeStreams === 0) this.#scheduleSweep(this.#limits.idleReleaseMs);
    if (peer.waiting.size === 0 || peer.abortDial) return;
    if (connection.session.peerMaxConcurrentStreams === 0) {
      connection.session.drain();
      this.#failWaiting(peer, dialFailed(new Error('the peer allows no streams')));
    } else this.#dial(peer);
  }

  #failWaiting(peer: Peer<K>, error: Error): void {
    for (const attempt of peer.waiting) attempt.fail(error);
    peer.waiting.clear();
  }

  #forgetIfUnused(peer: Peer<K>): void {
    if (peer.connections.size > 0 || peer.waiting.size > 0 || peer.abortDial) return;
    if (this.#peers.get(peer.key.id) === peer) this.#peers.delete(peer.key.id);
  }

  /** One timer for the pool, so that a tunnel's end costs no timer. */
  #scheduleSweep(delayMs: number): void {
    if (this.#state === 'closed') return;
    this.#cancelSweep ??= this.#clock.after(delayMs, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
    });
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { connections } of this.#peers.values()) {
      for (const { session, idleSinceMs } of connections) {
        if (session.activeStreams > 0 || !session.usable) continue;
        const leftMs = idleSinceMs + this.#limits.idleReleaseMs - nowMs;
        if (leftMs <= 0) session.drain();
        else nextMs = Math.min(nextMs, leftMs);
      }
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#scheduleSweep(nextMs);
  }
}
