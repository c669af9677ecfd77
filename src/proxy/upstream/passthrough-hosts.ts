/** The addresses that clients of one backend asked for: as many as are in use. */
import type { ServiceKey } from '../../api/names.ts';
import { formatHostPort } from '../../lib/ip.ts';
import { Host } from './host.ts';
import type { PoolOwner } from './pool-owner.ts';
import type { UpstreamClient } from './upstream.ts';

export interface PassthroughHostsOptions {
  readonly owner: PoolOwner;
  /** It became another one: its connections take no more requests. */
  readonly onStale: (host: Host) => void;
}

export class PassthroughHosts {
  readonly #options: PassthroughHostsOptions;
  /** By `ip:port`. */
  readonly #hosts = new Map<string, Host>();

  constructor(options: PassthroughHostsOptions) {
    this.#options = options;
  }

  /** Undefined: it is an address of the Service itself, which stands for its endpoints; to dial it would leave the mesh. */
  choose(serviceKey: ServiceKey, { address, port }: UpstreamClient['destination']): Host | undefined {
    const { owner, onStale } = this.#options;
    const own = owner.own();
    const service = owner.mesh.service(serviceKey);
    if (service?.addresses.some(({ ip }) => ip === address)) return undefined;
    const key = formatHostPort(address, port);
    let host = this.#hosts.get(key);
    const workload = own && owner.mesh.workloadByIp(own.network, address);
    if (host && host.spec.workload === workload) return host;
    if (host) onStale(host);
    host = new Host(
      {
        key,
        address,
        port,
        families: 0,
        weight: 1,
        priority: 0,
        locality: workload?.locality ?? noLocality,
        healthy: true,
        ...(workload ? { workload } : {}),
        ...(service ? { service } : {}),
      },
      owner.clock.nowMs(),
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
}

const noLocality = { region: '', zone: '', subzone: '' };
