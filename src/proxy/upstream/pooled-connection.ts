/** A connection in a pool: how much it has served, and whether it takes more. */
import type { ClientConnection } from '../../http/message.ts';
import type { HostPool } from './host-pool.ts';
import type { UpstreamHost } from './upstream.ts';

export class PooledConnection {
  readonly pool: HostPool;
  readonly connection: ClientConnection;
  /** As attempts tell it: with what became known by connecting. */
  readonly host: UpstreamHost;
  readonly openedMs: number;
  idleSinceMs: number;
  requests = 0;
  /** Its pool counts on it for the next request. */
  isReady = false;
  isRetired = false;
  readonly #maxStreams: number;

  constructor(pool: HostPool, connection: ClientConnection, host: UpstreamHost, nowMs: number) {
    this.pool = pool;
    this.connection = connection;
    this.host = host;
    this.openedMs = nowMs;
    this.idleSinceMs = nowMs;
    this.#maxStreams = pool.maxStreams;
  }

  get hasRoom(): boolean {
    const { connection } = this;
    return connection.canOpen && !this.isRetired && connection.activeRequests < this.#maxStreams;
  }

  /** Takes no more requests, and closes when the running ones have ended. */
  retire(): void {
    if (this.isRetired) return;
    this.isRetired = true;
    this.connection.drain();
  }
}
