/** Round robin: each host in its turn, as often as its weight says. */
import { firstFrom, sameWeights, type BalancedHost, type Picker } from './host.ts';

/** `random`: where to begin, so that many proxies do not begin with the same host. */
export function roundRobin<H extends BalancedHost>(hosts: readonly H[], random: () => number): Picker<H> {
  return sameWeights(hosts) ? new RoundRobin(hosts, random) : new WeightedRoundRobin(hosts, random);
}

class RoundRobin<H> implements Picker<H> {
  readonly #hosts: readonly H[];
  #next: number;

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts;
    this.#next = Math.floor(random() * hosts.length);
  }

  pick(_hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    const hosts = this.#hosts;
    const at = this.#next;
    this.#next = at + 1 === hosts.length ? 0 : at + 1;
    return skips ? firstFrom(hosts, at, skips) : hosts[at];
  }
}

/**
 * Earliest deadline first: a host of weight w is due every 1/w of time. A heap of indices, ordered by deadline and then by index, so
 * that a draw costs log(n) and hosts of one weight keep their turns.
 */
class WeightedRoundRobin<H extends BalancedHost> implements Picker<H> {
  readonly #hosts: readonly H[];
  readonly #heap: Int32Array;
  readonly #dueAt: Float64Array;

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts;
    this.#heap = Int32Array.from(hosts, (_, i) => i);
    const start = random();
    // Spread over the first turn: all due at once would serve every host once, whatever its weight.
    this.#dueAt = Float64Array.from(hosts, ({ weight }, i) => ((i * golden + start) % 1) / weight);
    for (let i = (hosts.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  pick(_hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    if (!skips) return this.#take();
    for (let tries = 0; tries < this.#hosts.length * 2; tries++) {
      const host = this.#take();
      if (host && !skips(host)) return host;
    }
    return firstFrom(this.#hosts, 0, skips);
  }

  #take(): H | undefined {
    const at = this.#heap[0];
    if (at === undefined) return undefined;
    const host = this.#hosts[at] as H;
    this.#dueAt[at] = (this.#dueAt[at] as number) + 1 / host.weight;
    this.#sink(0);
    return host;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const top = heap[from] as number;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1] as number, heap[child] as number)) child++;
      if (!this.#isBefore(heap[child] as number, top)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = top;
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#dueAt[a] as number;
    const right = this.#dueAt[b] as number;
    return left < right || (left === right && a < b);
  }
}

/** Multiples of it, modulo 1, lie evenly. */
const golden = 0.618033988749895;
