/**
 * Which hosts take requests, and in which shares: priorities, panic and weights of localities. Made anew when hosts or their health
 * change, so that a draw looks at none of it.
 */
import { rehash } from './hash.ts';
import type { BalancedHost, Picker } from './host.ts';
import { drawIndex, sumWeights, type WeightSums } from './weighted-draw.ts';

export interface LoadPlanOptions<H extends BalancedHost> {
  readonly hosts: readonly H[];
  /** Share of healthy hosts, in percent, below which all hosts of a priority are used; 0: never. */
  readonly panicPercent: number;
  /** Requests by locality, by `localityName`; hosts elsewhere get none. Absent: by host alone. */
  readonly localityWeights?: ReadonlyMap<string, number> | undefined;
  readonly makePicker: (hosts: readonly H[]) => Picker<H>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface LoadPlan<H> {
  /** Undefined: there is no host to use. */
  pick(hash: number | undefined, skips?: (host: H) => boolean): H | undefined;
  /** Some priority uses hosts whatever their health. */
  readonly panics: boolean;
}

/** A healthy share of 1/1.4 still takes all the requests of its priority: hosts have some room (as in Envoy). */
const overprovisioning = 1.4;

/** Hosts of one priority that share requests as one picker says, or as one picker a locality says. */
interface Level<H> {
  readonly pickers: readonly Picker<H>[];
  /** Absent: there is one picker. */
  readonly shares: WeightSums | undefined;
}

export function planLoad<H extends BalancedHost>(options: LoadPlanOptions<H>): LoadPlan<H> {
  const { panicPercent, localityWeights, makePicker, random } = options;
  const members = localityWeights
    ? options.hosts.filter(({ locality }) => (localityWeights.get(localityName(locality)) ?? 0) > 0)
    : options.hosts;
  const priorities = byPriority(members);
  const health = priorities.map(healthOf);
  const loads = shareLoad(health);
  const totalHealth = Math.min(
    100,
    health.reduce((sum, part) => sum + part, 0),
  );
  let panics = false;
  const levels = priorities.map((hosts): Level<H> => {
    const healthy = hosts.filter((host) => host.healthy);
    // As long as another priority can take everything, this one need not be used in panic.
    const isPanic = totalHealth < 100 && (100 * healthy.length) / hosts.length < panicPercent;
    panics ||= isPanic;
    return levelOf(hosts, isPanic ? hosts : healthy, localityWeights, makePicker);
  });
  // No priority is healthy: the load follows the hosts that panic allows.
  const weights =
    totalHealth > 0
      ? loads
      : levels.map(({ pickers }, i) => (pickers.length > 0 ? (priorities[i] as readonly H[]).length : 0));
  return new Plan(levels, sumWeights(weights), random, panics);
}

/** `region/zone/subzone` without empty ends. */
export function localityName({ region, zone, subzone }: BalancedHost['locality']): string {
  if (region === '') return '';
  if (zone === '') return region;
  return subzone === '' ? `${region}/${zone}` : `${region}/${zone}/${subzone}`;
}

class Plan<H> implements LoadPlan<H> {
  readonly panics: boolean;
  readonly #levels: readonly Level<H>[];
  readonly #loads: WeightSums;
  readonly #random: () => number;
  /** The usual case: one priority, one picker. */
  readonly #only: Picker<H> | undefined;

  constructor(levels: readonly Level<H>[], loads: WeightSums, random: () => number, panics: boolean) {
    this.#levels = levels;
    this.#loads = loads;
    this.#random = random;
    this.panics = panics;
    const level = levels.length === 1 ? levels[0] : undefined;
    this.#only = level?.pickers.length === 1 ? level.pickers[0] : undefined;
  }

  pick(hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    if (this.#only) return this.#only.pick(hash, skips);
    const at = hash === undefined ? this.#random() : rehash(hash, 1) / 2 ** 32;
    const start = drawIndex(this.#loads, at);
    if (start < 0) return undefined;
    const found = this.#pickFrom(this.#levels[start] as Level<H>, hash, skips);
    if (found || !skips) return found;
    // Where everybody is skipped, whoever takes over is asked: first the priorities that follow.
    for (let i = 1; i < this.#levels.length; i++) {
      const next = this.#pickFrom(this.#levels[(start + i) % this.#levels.length] as Level<H>, hash, skips);
      if (next) return next;
    }
    return undefined;
  }

  #pickFrom({ pickers, shares }: Level<H>, hash: number | undefined, skips?: (host: H) => boolean): H | undefined {
    if (!shares) return pickers[0]?.pick(hash, skips);
    const start = drawIndex(shares, hash === undefined ? this.#random() : rehash(hash, 2) / 2 ** 32);
    if (start < 0) return undefined;
    for (let i = 0; i < pickers.length; i++) {
      const found = pickers[(start + i) % pickers.length]?.pick(hash, skips);
      if (found || !skips) return found;
    }
    return undefined;
  }
}

/** Best first; gaps between numbers mean nothing. */
function byPriority<H extends BalancedHost>(hosts: readonly H[]): (readonly H[])[] {
  const groups = new Map<number, H[]>();
  for (const host of hosts) {
    const group = groups.get(host.priority);
    if (group) group.push(host);
    else groups.set(host.priority, [host]);
  }
  return [...groups].toSorted(([a], [b]) => a - b).map(([, group]) => group);
}

/** 0 to 100: how much of the load a priority can take. */
function healthOf(hosts: readonly BalancedHost[]): number {
  let healthy = 0;
  for (const host of hosts) if (host.healthy) healthy++;
  return Math.min(100, (100 * overprovisioning * healthy) / hosts.length);
}

/** The first takes what it can, the next one what is left. Together too little: in proportion. */
function shareLoad(health: readonly number[]): number[] {
  const total = health.reduce((sum, part) => sum + part, 0);
  let left = 100;
  return health.map((part) => {
    const load = total < 100 ? part : Math.min(left, part);
    left -= load;
    return load;
  });
}

function levelOf<H extends BalancedHost>(
  hosts: readonly H[],
  used: readonly H[],
  localityWeights: ReadonlyMap<string, number> | undefined,
  makePicker: (hosts: readonly H[]) => Picker<H>,
): Level<H> {
  if (!localityWeights) return { pickers: used.length > 0 ? [makePicker(used)] : [], shares: undefined };
  const all = countByLocality(hosts);
  const groups = new Map<string, H[]>();
  for (const host of used) {
    const name = localityName(host.locality);
    const group = groups.get(name);
    if (group) group.push(host);
    else groups.set(name, [host]);
  }
  const pickers: Picker<H>[] = [];
  const weights: number[] = [];
  for (const [name, group] of groups) {
    const available = Math.min(1, (overprovisioning * group.length) / (all.get(name) ?? group.length));
    pickers.push(makePicker(group));
    weights.push((localityWeights.get(name) ?? 0) * available);
  }
  return { pickers, shares: sumWeights(weights) };
}

function countByLocality(hosts: readonly BalancedHost[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { locality } of hosts) {
    const name = localityName(locality);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
