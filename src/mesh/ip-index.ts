/** Address indices: one key has several claimants, and an order among them. */
import { maskIp, tryParseCidr, tryParseIp, type Cidr } from '../lib/ip.ts';
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

  get size(): number {
    return this.#sets.size;
  }

  keys(): Iterable<K> {
    return this.#sets.keys();
  }
}

export function networkIpKey(network: NetworkId, ip: string): string {
  return `${network}/${ip}`;
}

/**
 * Of several workloads that claim one address: pods first, then healthy ones (of a pod whose sandbox ended the address may be another
 * one's before the API says so), then those that speak HBONE, then the first.
 */
export function preferredWorkload(claimants: Iterable<MeshWorkload>): MeshWorkload | undefined {
  let best: MeshWorkload | undefined;
  let bestRank = -1;
  for (const workload of claimants) {
    const rank =
      (workload.uid.includes('//Pod/') ? 4 : 0) +
      (workload.status === 'healthy' ? 2 : 0) +
      (workload.tunnelProtocol === 'hbone' ? 1 : 0);
    if (rank > bestRank) {
      best = workload;
      bestRank = rank;
    }
  }
  return best;
}

/** Whether a client in `clientNamespace` may see the service. */
export function isVisible(service: MeshService, clientNamespace: string): boolean {
  if (service.exportTo) return service.exportTo.includes(clientNamespace);
  return service.visibility === 'public' || service.namespace === clientNamespace;
}

/** What decides among services that are alike otherwise. */
export interface ServicePreference {
  readonly preferredNamespace?: string | undefined;
  /** The one that is asked for. */
  readonly port?: number | undefined;
}

/**
 * Of several services that claim one name or address: the client's namespace, then canonical, then `preferredNamespace`, then one
 * that has the port, then the first.
 */
export function preferredService(
  claimants: Iterable<MeshService>,
  clientNamespace: string,
  { preferredNamespace, port }: ServicePreference = {},
): MeshService | undefined {
  let best: MeshService | undefined;
  let bestRank = -1;
  for (const service of claimants) {
    if (!isVisible(service, clientNamespace)) continue;
    const { namespace, canonical } = service;
    const rank =
      (namespace === clientNamespace ? 8 : 0) +
      (canonical ? 4 : 0) +
      (namespace === preferredNamespace ? 2 : 0) +
      (hasPort(service, port) ? 1 : 0);
    if (rank > bestRank) {
      best = service;
      bestRank = rank;
    }
  }
  return best;
}

/** All ports are those of a service that passes through. */
function hasPort({ ports, loadBalancing }: MeshService, port: number | undefined): boolean {
  if (port === undefined) return false;
  return loadBalancing?.mode === 'passthrough' || ports.some(({ servicePort }) => servicePort === port);
}

/** Services by network and prefix length, then by the masked address: a look-up costs one step a length in use. */
export class BlockIndex {
  readonly #byNetwork = new Map<NetworkId, Map<number, MultiMap<string, MeshService>>>();
  #lengths = new Map<NetworkId, readonly number[]>();

  add(service: MeshService): void {
    for (const { network, cidr } of blocksOf(service)) {
      const byLength = this.#byNetwork.get(network) ?? new Map<number, MultiMap<string, MeshService>>();
      this.#byNetwork.set(network, byLength);
      const blocks = byLength.get(cidr.prefixLength) ?? new MultiMap<string, MeshService>();
      byLength.set(cidr.prefixLength, blocks);
      blocks.add(blockKey(cidr), service);
      this.#lengths.delete(network);
    }
  }

  remove(service: MeshService): void {
    for (const { network, cidr } of blocksOf(service)) {
      const byLength = this.#byNetwork.get(network);
      const blocks = byLength?.get(cidr.prefixLength);
      if (!byLength || !blocks) continue;
      blocks.remove(blockKey(cidr), service);
      if (blocks.size === 0) byLength.delete(cidr.prefixLength);
      if (byLength.size === 0) this.#byNetwork.delete(network);
      this.#lengths.delete(network);
    }
  }

  /** The best block around `ip`: the client's namespace, then the longest prefix, then as `preferredService` says. */
  find(
    network: NetworkId,
    ip: string,
    client: { readonly namespace: string; readonly port: number | undefined },
  ): MeshService | undefined {
    const { namespace: clientNamespace, port } = client;
    const byLength = this.#byNetwork.get(network);
    const bytes = byLength && tryParseIp(ip);
    if (!bytes) return undefined;
    let best: MeshService | undefined;
    for (const prefixLength of this.#lengthsOf(network, byLength)) {
      if (prefixLength > bytes.length * 8) continue;
      const claimants = byLength
        .get(prefixLength)
        ?.get(blockKey({ address: maskIp(bytes, prefixLength), prefixLength }));
      const found = claimants && preferredService(claimants, clientNamespace, { port });
      if (!found) continue;
      if (found.namespace === clientNamespace) return found;
      best ??= found;
    }
    return best;
  }

  /** Longest first. */
  #lengthsOf(network: NetworkId, byLength: ReadonlyMap<number, unknown>): readonly number[] {
    let lengths = this.#lengths.get(network);
    if (!lengths) this.#lengths.set(network, (lengths = [...byLength.keys()].toSorted((a, b) => b - a)));
    return lengths;
  }
}

function* blocksOf(service: MeshService): Iterable<{ network: NetworkId; cidr: Cidr }> {
  for (const address of service.addresses) {
    const cidr = blockOf(address);
    if (cidr) yield { network: address.network, cidr };
  }
}

/** The family is part of it: 0.0.0.0/0 and ::/0 are two blocks. */
function blockKey({ address }: Cidr): string {
  return address.join('.');
}

/** The block of an address with a prefix length; undefined for a single address. */
function blockOf(address: NetworkAddress): Cidr | undefined {
  return address.prefixLength === undefined ? undefined : tryParseCidr(`${address.ip}/${address.prefixLength}`);
}
