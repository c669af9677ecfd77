/**
 * Most connections of clients that a proxy has at once, on all its ports together: one more is closed at once, those that live go on.
 * Without it, whoever opens enough of them takes the descriptors that everybody's requests need. At the edge, where clients are
 * strangers, the last fifth is for those who have few: one client does not shut out the others.
 */
import { tryParseIp } from '../../lib/ip.ts';
import type { AcceptedSocket } from '../../net/index.ts';
import { SparingLog } from '../engine/sparing-log.ts';
import type { ProxyServices } from '../proxy-services.ts';
import { shareOf, type WorkerShare } from '../workers/share.ts';

/** For backends of connections that have asked for none yet, listeners, logs, and the ports of the proxy's own. */
const reservedShare = 0.25;

/** Where nobody can tell how many descriptors are open: a client's connection takes at most its own, and one to a backend. */
const descriptorsPerConnection = 2;

const fewest = 64;

/** From this share of what may be on, a client of the edge may have few. */
const nearShare = 0.8;
/** What one client may have then, of all that may be; and at least, as browsers open so many. */
const clientShare = 0.05;
const fewestOfClient = 8;

export interface DescriptorUse {
  /** That the process may open. */
  readonly limit: number;
  /** That it has open, connections to backends included; undefined: the kernel does not tell. */
  readonly open: () => number | undefined;
}

/** For a process with these descriptors. */
export function defaultMaxConnections({ limit, open }: DescriptorUse): number {
  const each = open() === undefined ? descriptorsPerConnection : 1;
  return Math.max(Math.floor(usable(limit) / each), fewest);
}

/** What clients and backends may take together. */
function usable(limit: number): number {
  return Math.floor(limit * (1 - reservedShare));
}

export interface ConnectionCapOptions {
  readonly max: number;
  /** Absent: only connections are counted. */
  readonly descriptors?: DescriptorUse;
  /** Whoever else counts connections of the same process; absent: nobody. */
  readonly share?: Pick<WorkerShare, 'workers' | 'connections'> | undefined;
  readonly services: Pick<ProxyServices, 'clock' | 'log' | 'metrics'>;
}

/** Where a connection came in. */
export interface CapListener {
  readonly name: string;
  /** Its clients are strangers, told apart by address: at a waypoint each is a ztunnel with many clients. */
  readonly isEdge: boolean;
}

export class ConnectionCap {
  readonly #max: number;
  readonly #clientMax: number;
  readonly #descriptors: DescriptorUse | undefined;
  readonly #share: ConnectionCapOptions['share'];
  readonly #log: ProxyServices['log'];
  readonly #lines: SparingLog;
  /** Live connections of clients of the edge, by `clientOf`. */
  readonly #byClient = new Map<string, number>();
  #open = 0;
  #refused = 0;
  #refusedShare = 0;

  constructor({ max, descriptors, share, services: { clock, log, metrics } }: ConnectionCapOptions) {
    this.#max = max;
    this.#share = share;
    // Nobody knows what a client has at other workers.
    this.#clientMax = shareOf(Math.max(fewestOfClient, Math.floor(max * clientShare)), share);
    this.#descriptors = descriptors;
    this.#log = log;
    this.#lines = new SparingLog(clock);
    metrics.gauge('ambit_proxy_connections', 'Connections of clients', () => this.#open);
    metrics.gauge('ambit_proxy_connections_limit', 'Most connections of clients at once', () => max, 'max');
    metrics.counter(
      'ambit_proxy_connections_refused',
      'Connections of clients that were closed at once, because there were as many as may be',
      () => this.#refused,
    );
    metrics.counter(
      'ambit_proxy_connections_refused_share',
      'Those of them that had room, but whose client had its share',
      () => this.#refusedShare,
    );
  }

  /** Counts the connection until it closes. False: it was one too many, and is closed. */
  admit({ socket, remoteAddress }: AcceptedSocket, { name, isEdge }: CapListener): boolean {
    const client = isEdge ? clientOf(remoteAddress) : undefined;
    // Counted before it is looked at, so that two workers never both give away the last place.
    this.#count(client, 1);
    const refusal = this.#refusal(client);
    if (!refusal) {
      socket.once('close', () => this.#count(client, -1));
      return true;
    }
    this.#count(client, -1);
    socket.resetAndDestroy();
    this.#refused++;
    if (refusal.client !== undefined) this.#refusedShare++;
    const more = this.#lines.due(refusal.message);
    if (more) this.#log.warn(refusal.message, { listener: name, client: remoteAddress, limit: refusal.limit, ...more });
    return false;
  }

  /** Of a connection that is counted already. */
  #refusal(client: string | undefined): Refusal | undefined {
    const inUse = this.#inUse();
    if (inUse >= 1) return { message: 'refused a connection: there are as many as may be', limit: this.#max };
    if (client === undefined || inUse < nearShare || (this.#byClient.get(client) ?? 0) <= this.#clientMax)
      return undefined;
    return {
      message: 'refused a connection: there is little room, and its client has its share',
      client,
      limit: this.#clientMax,
    };
  }

  /** Before the connection that came last. 1: there is no room. By descriptors, too: backends take them as clients do. */
  #inUse(): number {
    const others = (this.#share ? this.#share.connections.total(0) : this.#open) - 1;
    const ofConnections = others / this.#max;
    // Asked only from where it may matter: below, clients have as many to spare for their backends as for themselves.
    if (!this.#descriptors || others * 2 < usable(this.#descriptors.limit) * nearShare) return ofConnections;
    const open = this.#descriptors.open();
    return open === undefined ? ofConnections : Math.max(ofConnections, open / usable(this.#descriptors.limit));
  }

  #count(client: string | undefined, change: 1 | -1): void {
    this.#open += change;
    this.#share?.connections.add(0, change);
    if (client === undefined) return;
    const left = (this.#byClient.get(client) ?? 0) + change;
    if (left === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, left);
  }
}

interface Refusal {
  readonly message: string;
  readonly limit: number;
  /** Whose share was at its end. */
  readonly client?: string;
}

/** Who is taken for one client: an IPv4 address, or the /64 that a host of IPv6 has to itself (RFC 7934). */
function clientOf(remoteAddress: string): string {
  const ip = tryParseIp(remoteAddress);
  return ip === undefined || ip.length === 4 ? remoteAddress : Buffer.from(ip).toString('hex', 0, 8);
}
