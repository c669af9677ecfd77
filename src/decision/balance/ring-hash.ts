/** Ketama-like ring: each host has points on a circle, as many as its weight says; a hash goes to the next point. */
import { hashText, rehash } from './hash.ts';
import type { BalancedHost, Picker } from './host.ts';

/** As in Envoy. */
const maxRingSize = 8 * 1024 * 1024;

export function ringHash<H extends BalancedHost>(
  hosts: readonly H[],
  minimumSize: number,
  random: () => number,
): Picker<H> {
  return new RingHash(hosts, minimumSize, random);
}

class RingHash<H extends BalancedHost> implements Picker<H> {
  readonly #hosts: readonly H[];
  readonly #minimumSize: number;
  readonly #random: () => number;
  /** Made at the first draw: `hash * 2^21 + host`, sorted. */
  #points: Float64Array | undefined;

  constructor(hosts: readonly H[], minimumSize: number, random: () => number) {
    this.#hosts = hosts;
    this.#minimumSize = minimumSize;
    this.#random = random;
  }

  pick(hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    const points = (this.#points ??= ringPoints(this.#hosts, this.#minimumSize));
    if (points.length === 0) return undefined;
    const start = firstAtOrAfter(points, hash ?? Math.floor(this.#random() * 2 ** 32));
    if (!skips) return this.#hostAt(points, start);
    for (let i = 0; i < points.length; i++) {
      const host = this.#hostAt(points, start + i);
      if (!skips(host)) return host;
    }
    return undefined;
  }

  #hostAt(points: Float64Array, at: number): H {
    return this.#hosts[(points[at % points.length] as number) % hostSlots] as H;
  }
}

const hostSlots = 2 ** 21;

function ringPoints(hosts: readonly BalancedHost[], minimumSize: number): Float64Array {
  let total = 0;
  let lightest = Infinity;
  for (const { weight } of hosts) {
    total += weight;
    lightest = Math.min(lightest, weight);
  }
  // The lightest host gets whole points, and the ring is at least as large as asked for.
  const perLightest = Math.ceil((lightest / total) * minimumSize);
  const scale = Math.min(perLightest / lightest, maxRingSize / total);
  const counts = hosts.map(({ weight }) => Math.max(1, Math.round(weight * scale)));
  const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  for (let index = 0; index < hosts.length; index++) {
    const base = hashText((hosts[index] as BalancedHost).key);
    for (let i = 0; i < (counts[index] as number); i++) points[at++] = rehash(base, i) * hostSlots + index;
  }
  return points.sort();
}

/** Behind the last point comes the first one. */
function firstAtOrAfter(points: Float64Array, hash: number): number {
  const wanted = hash * hostSlots;
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
