/** Random, and least request: two random hosts, of which the one with less to do is taken. */
import { firstFrom, sameWeights, type BalancedHost, type Picker } from './host.ts';
import { drawIndex, sumWeights, type WeightSums } from './weighted-draw.ts';

export function randomDraw<H extends BalancedHost>(hosts: readonly H[], random: () => number): Picker<H> {
  return new RandomDraw(hosts, random, 1);
}

/** Power of two choices. Where weights differ, drawn by weight and compared by requests a unit of weight. */
export function leastRequest<H extends BalancedHost>(hosts: readonly H[], random: () => number): Picker<H> {
  return new RandomDraw(hosts, random, 2);
}

/** A draw or a few find a host that is not skipped, where few of many are; else all are looked at. */
const quickTries = 5;

class RandomDraw<H extends BalancedHost> implements Picker<H> {
  readonly #hosts: readonly H[];
  readonly #random: () => number;
  readonly #choices: 1 | 2;
  /** Absent: all weigh the same. */
  readonly #sums: WeightSums | undefined;

  constructor(hosts: readonly H[], random: () => number, choices: 1 | 2) {
    this.#hosts = hosts;
    this.#random = random;
    this.#choices = choices;
    this.#sums = sameWeights(hosts) ? undefined : sumWeights(hosts.map(({ weight }) => weight));
  }

  pick(_hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    const hosts = this.#hosts;
    if (hosts.length < 2) return hosts[0] && skips?.(hosts[0]) ? undefined : hosts[0];
    const first = this.#at(this.#index());
    if (skips) return this.#pickAround(first, skips);
    if (this.#choices === 1) return first;
    return this.#lighter(first, this.#another(first));
  }

  #pickAround(drawn: H, skips: (host: H) => boolean): H | undefined {
    let first = drawn;
    for (let tries = 1; skips(first) && tries < quickTries; tries++) first = this.#at(this.#index());
    if (skips(first)) return firstFrom(this.#hosts, this.#index(), skips);
    if (this.#choices === 1) return first;
    const second = this.#another(first);
    return skips(second) ? first : this.#lighter(first, second);
  }

  /** The other choice, never the same host: of two hosts both are always looked at. */
  #another(first: H): H {
    const index = this.#index();
    const second = this.#at(index);
    return second === first ? this.#at(index + 1) : second;
  }

  #lighter(a: H, b: H): H {
    return (a.activeRequests + 1) * b.weight <= (b.activeRequests + 1) * a.weight ? a : b;
  }

  #index(): number {
    const at = this.#random();
    return this.#sums ? drawIndex(this.#sums, at) : Math.floor(at * this.#hosts.length);
  }

  #at(index: number): H {
    return this.#hosts[index % this.#hosts.length] as H;
  }
}
