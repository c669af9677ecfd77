/** Maglev (Eisenbud et al., NSDI 2016, section 3.4): a table that hosts fill in turn, so that each gets its share and few entries move. */
import { hashText } from './hash.ts';
import type { BalancedHost, Picker } from './host.ts';

/** `tableSize` is a prime. */
export function maglev<H extends BalancedHost>(
  hosts: readonly H[],
  tableSize: number,
  random: () => number,
): Picker<H> {
  return new Maglev(hosts, tableSize, random);
}

class Maglev<H extends BalancedHost> implements Picker<H> {
  readonly #hosts: readonly H[];
  readonly #tableSize: number;
  readonly #random: () => number;
  /** Made at the first draw. */
  #table: Int32Array | undefined;

  constructor(hosts: readonly H[], tableSize: number, random: () => number) {
    this.#hosts = hosts;
    this.#tableSize = tableSize;
    this.#random = random;
  }

  pick(hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    if (this.#hosts.length === 0) return undefined;
    const table = (this.#table ??= fillTable(this.#hosts, this.#tableSize));
    const start = (hash ?? Math.floor(this.#random() * 2 ** 32)) % table.length;
    if (!skips) return this.#hosts[table[start] as number];
    for (let i = 0; i < table.length; i++) {
      const host = this.#hosts[table[(start + i) % table.length] as number] as H;
      if (!skips(host)) return host;
    }
    return undefined;
  }
}

function fillTable(hosts: readonly BalancedHost[], size: number): Int32Array {
  // By name: the order in which hosts became known must not matter, or two proxies would differ.
  const order = hosts.map((_, i) => i).toSorted((a, b) => compare(hosts[a]?.key ?? '', hosts[b]?.key ?? ''));
  const heaviest = hosts.reduce((most, { weight }) => Math.max(most, weight), 0);
  const shares = Float64Array.from(hosts, ({ weight }) => weight / heaviest);
  const taken = new Float64Array(hosts.length);
  const at = Float64Array.from(hosts, ({ key }) => hashText(key, 0x5bd1) % size);
  const step = Float64Array.from(hosts, ({ key }) => (hashText(key, 0x9e37) % (size - 1)) + 1);
  const table = new Int32Array(size).fill(-1);
  let filled = 0;
  for (let round = 1; ; round++) {
    for (const host of order) {
      // A host of half the weight of the heaviest takes part in every second round.
      if ((taken[host] as number) + 1 > round * (shares[host] as number) + 1e-9) continue;
      taken[host] = (taken[host] as number) + 1;
      let entry = at[host] as number;
      while (table[entry] !== -1) entry = (entry + (step[host] as number)) % size;
      table[entry] = host;
      at[host] = (entry + (step[host] as number)) % size;
      if (++filled === size) return table;
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
