/** Address indices: one key has several claimants, and an order among them. */
import { cidrContains, tryParseCidr, tryParseIp, type Cidr } from '../lib/ip.ts';
import type { MeshService, MeshWorkload, NetworkAddress } from '../api/workload.ts';
import type { NetworkId } from '../api/names.ts';

/** Several values under one key, in insertion order. Empty keys vanish. */
export class MultiMap<K, V> {
  readonly #sets = new Map<K, Set<V>>();

  add(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set) set.add(value);
    else this.#sets.set(key, new Set([value]));
  }

  remove(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }

  get(key: K): ReadonlySet<V> | undefined {
    return this.#sets.get(key);
  }

  keys(): Iterable<K> {
    return this.#sets.keys();
  }
}

export function networkIpKey(network: NetworkId, ip: string): string {
  return `${network}/${ip}`;
}

/** Of several workloads that claim one address: pods first, then those that speak HBONE, then the first. */
export function preferredWorkload(claimants: Iterable<MeshWorkload>): MeshWorkload | undefined {
  let best: MeshWorkload | undefined;
  let bestRank = -1;
  for (const workload of claimants) {
    const rank = (workload.uid.includes('//Pod/') ? 2 : 0) + (workload.tunnelProtocol === 'hbone' ? 1 : 0);
    if (rank > bestRank) {
      best = workload;
      bestRank = rank;
    }
  }
  return best;
}

/** Whether a client in `clientNamespace` may see the service. */
export function isVisible(service: MeshService, clientNamespace: string): boolean {
  return service.visibility === 'public' || service.namespace === clientNamespace;
}

/** Of several services that claim one name or address: the client's namespace, then canonical, then the first. */
export function preferredService(claimants: Iterable<MeshService>, clientNamespace: string): MeshService | undefined {
  let best: MeshService | undefined;
  let bestRank = -1;
  for (const service of claimants) {
    if (!isVisible(service, clientNamespace)) continue;
    const rank = (service.namespace === clientNamespace ? 2 : 0) + (service.canonical ? 1 : 0);
    if (rank > bestRank) {
      best = service;
      bestRank = rank;
    }
  }
  return best;
}

interface Block {
  readonly network: NetworkId;
  readonly cidr: Cidr;
  readonly service: MeshService;
}

/** Virtual addresses given as CIDR blocks. Few, hence a list. */
export class BlockIndex {
  #blocks: Block[] = [];

  add(service: MeshService): void {
    for (const address of service.addresses) {
      const cidr = blockOf(address);
      if (cidr) this.#blocks.push({ network: address.network, cidr, service });
    }
  }

  remove(service: MeshService): void {
    if (this.#blocks.some((block) => block.service === service)) {
      this.#blocks = this.#blocks.filter((block) => block.service !== service);
    }
  }

  /** The best block around `ip`: the client's namespace, then the longest prefix, then canonical, then the first. */
  find(network: NetworkId, ip: string, clientNamespace: string): MeshService | undefined {
    if (this.#blocks.length === 0) return undefined;
    const bytes = tryParseIp(ip);
    if (!bytes) return undefined;
    let best: MeshService | undefined;
    let bestRank = -1;
    for (const { network: blockNetwork, cidr, service } of this.#blocks) {
      if (blockNetwork !== network || !cidrContains(cidr, bytes) || !isVisible(service, clientNamespace)) continue;
      const rank =
        (service.namespace === clientNamespace ? 512 : 0) + cidr.prefixLength * 2 + (service.canonical ? 1 : 0);
      if (rank > bestRank) {
        best = service;
        bestRank = rank;
      }
    }
    return best;
  }
}

/** The block of an address with a prefix length; undefined for a single address. */
export function blockOf(address: NetworkAddress): Cidr | undefined {
  return address.prefixLength === undefined ? undefined : tryParseCidr(`${address.ip}/${address.prefixLength}`);
}
