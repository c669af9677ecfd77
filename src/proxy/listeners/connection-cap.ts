/**
 * Most connections of clients that a proxy has at once, on all its ports together: one more is closed at once, those that live go on.
 * Without it, whoever opens enough of them takes the descriptors that everybody's requests need.
 */
import type { AcceptedSocket } from '../../net/index.ts';
import { SparingLog } from '../engine/sparing-log.ts';
import type { ProxyServices } from '../proxy-services.ts';

/** A client's connection takes at most two descriptors: its own, and one to a backend. */
const descriptorsPerConnection = 2;

/** For listeners, tunnels, idle connections of pools, logs, and the ports of the proxy's own. */
const reservedShare = 0.25;

const fewest = 64;

/** For a process that may open so many descriptors. */
export function defaultMaxConnections(descriptors: number): number {
  return Math.max(Math.floor((descriptors * (1 - reservedShare)) / descriptorsPerConnection), fewest);
}

export interface ConnectionCapOptions {
  readonly max: number;
  readonly services: Pick<ProxyServices, 'clock' | 'log' | 'metrics'>;
}

export class ConnectionCap {
  readonly #max: number;
  readonly #log: ProxyServices['log'];
  readonly #lines: SparingLog;
  #open = 0;
  #refused = 0;

  constructor({ max, services: { clock, log, metrics } }: ConnectionCapOptions) {
    this.#max = max;
    this.#log = log;
    this.#lines = new SparingLog(clock);
    metrics.gauge('ambit_proxy_connections', 'Connections of clients', () => this.#open);
    metrics.gauge('ambit_proxy_connections_limit', 'Most connections of clients at once', () => max);
    metrics.counter(
      'ambit_proxy_connections_refused',
      'Connections of clients that were closed at once, because there were as many as may be',
      () => this.#refused,
    );
  }

  /** Counts the connection until it closes. False: it was one too many, and is closed. */
  admit({ socket, remoteAddress }: AcceptedSocket, listener: string): boolean {
    if (this.#open < this.#max) {
      this.#open++;
      socket.once('close', () => this.#open--);
      return true;
    }
    socket.resetAndDestroy();
    this.#refused++;
    const more = this.#lines.due('refused');
    if (more) {
      this.#log.warn('refused a connection: there are as many as may be', {
        listener,
        client: remoteAddress,
        limit: this.#max,
        ...more,
      });
    }
    return false;
  }
}
