/** The hosts that clients of one backend named: as many as are in use, up to a bound, since the names are the clients' choice. */
import type { RequestedHosts as Names } from '../../api/l7/index.ts';
import { requestedHost } from '../../decision/balance/index.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { HostRefusal } from './backend-stats.ts';
import { Host } from './host.ts';

export interface RefusedHost {
  readonly kind: 'refused';
  readonly why: HostRefusal;
  readonly reason: string;
}

export interface RequestedHostsOptions {
  readonly nowMs: () => number;
  /** Who else is meant by the name, in words: then it is not resolved here. */
  readonly meansOther: (hostname: string, names: Names) => string | undefined;
  /** It gives way to another: its connections take no more requests. */
  readonly onEvicted: (host: Host) => void;
  readonly maxHosts?: number;
}

const mostHosts = 1024;

export class RequestedHosts {
  readonly #options: RequestedHostsOptions;
  /** By `name:port`, the one that was asked for least recently first. */
  readonly #hosts = new Map<string, Host>();

  constructor(options: RequestedHostsOptions) {
    this.#options = options;
  }

  /** The host of that name; `asked` as the client has it. */
  choose(names: Names, asked: string | undefined, servicePort: number): Host | RefusedHost {
    const found = requestedHost(names, asked, servicePort);
    if (found.kind === 'refused') return found;
    const other = this.#options.meansOther(found.hostname, names);
    if (other !== undefined) {
      const reason = `${found.hostname} is one of ${other}, which has a waypoint of its own`;
      return { kind: 'refused', why: 'other-service', reason };
    }
    const key = formatHostPort(found.hostname, names.port);
    let host = this.#hosts.get(key);
    if (host) this.#hosts.delete(key);
    else if (!this.#makeRoom()) {
      const reason = `${found.hostname} is one host too many: ${this.#hosts.size} others are in use`;
      return { kind: 'refused', why: 'too-many', reason };
    }
    host ??= new Host(
      {
        key,
        address: undefined,
        requestedName: found.hostname,
        port: names.port,
        families: 0,
        weight: 1,
        priority: 0,
        locality: { region: '', zone: '', subzone: '' },
        healthy: true,
      },
      this.#options.nowMs(),
    );
    this.#hosts.set(key, host);
    return host;
  }

  has(host: Host): boolean {
    return this.#hosts.get(host.key) === host;
  }

  forget(host: Host): void {
    if (this.has(host)) this.#hosts.delete(host.key);
  }

  values(): Iterable<Host> {
    return this.#hosts.values();
  }

  /** False: all of them have requests. */
  #makeRoom(): boolean {
    if (this.#hosts.size < (this.#options.maxHosts ?? mostHosts)) return true;
    for (const host of this.#hosts.values()) {
      if (host.activeRequests > 0) continue;
      this.#hosts.delete(host.key);
      this.#options.onEvicted(host);
      return true;
    }
    return false;
  }
}
