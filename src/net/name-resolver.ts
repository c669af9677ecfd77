/** Addresses of workloads that are known by name alone: asked of DNS when they are dialled, kept as long as DNS says. */
import { Resolver } from 'node:dns/promises';
import type { Clock } from '../lib/clock.ts';
import { AmbitError, codeOf } from '../lib/errors.ts';
import { canonicalIp } from '../lib/ip.ts';
import { ipv4, ipv6, type IpFamilies } from '../lib/ip-families.ts';

export interface NameRecord {
  readonly address: string;
  readonly ttlSeconds: number;
}

/** Asks DNS for one kind of record. No record: an empty list. Rejects when nobody answered. */
export type NameQuery = (hostname: string, family: 4 | 6) => Promise<readonly NameRecord[]>;

export interface NameResolverOptions {
  readonly query: NameQuery;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly timeoutMs: number;
  /** Questions that may be open at once, where strangers choose the names; absent: any number. */
  readonly maxQuestions?: number;
}

const none: ReadonlySet<string> = new Set();
const maxNames = 4096;
const shortestTtlMs = 1000;
const longestTtlMs = 300_000;
/** A name without addresses, or that nobody answers for, is not asked again for this long. */
const negativeTtlMs = 5000;
/** What was known once stands in for an answer that does not come. */
const staleMs = 600_000;

/** One address of a name. */
export interface FoundAddress {
  readonly address: string;
  /** How many may follow. */
  readonly left: number;
}

interface Asked {
  readonly family: IpFamilies;
  readonly answer: Promise<Answer>;
  /** Of its addresses; 1 as long as that is not known. */
  count: number;
}

interface Answer {
  addresses: readonly string[];
  untilMs: number;
  /** When `addresses` were learned. */
  learnedMs: number;
  problem: string | undefined;
}

export class NameResolver {
  readonly #options: NameResolverOptions;
  /** By name and family, least recently made first. */
  readonly #answers = new Map<string, Answer>();
  readonly #running = new Map<string, Promise<Answer>>();

  constructor(options: NameResolverOptions) {
    this.#options = options;
  }

  /**
   * One address of a family of `allowed`, of `preferred` where it can be, and none of `tried`. Rejects with
   * `outbound.name-not-resolved`; never waits longer than the timeout for each family.
   */
  async resolve(
    hostname: string,
    allowed: IpFamilies,
    preferred: IpFamilies,
    tried: ReadonlySet<string> = none,
  ): Promise<string> {
    const problems: string[] = [];
    for (const family of orderOf(allowed, preferred)) {
      const { addresses, problem } = await this.#answer(hostname, numberOf(family));
      const left = tried.size === 0 ? addresses : addresses.filter((address) => !tried.has(address));
      const drawn = left[Math.floor(this.#options.random() * left.length)];
      if (drawn !== undefined) return drawn;
      const kind = recordOf(family);
      problems.push(addresses.length > 0 ? `no other ${kind} record` : (problem ?? `no ${kind} record`));
    }
    throw notResolved(hostname, problems);
  }

  /**
   * Its addresses one after another, those of a family of `preferred` first, each family's from a random one on. All families are
   * asked at once, and none is waited for before its turn. Rejects as `resolve` where there are none.
   */
  async *addresses(hostname: string, allowed: IpFamilies, preferred: IpFamilies): AsyncGenerator<FoundAddress, void> {
    const asked = orderOf(allowed, preferred).map((family): Asked => {
      const one: Asked = { family, answer: Promise.resolve(this.#answer(hostname, numberOf(family))), count: 1 };
      void one.answer.then(({ addresses }) => (one.count = addresses.length));
      return one;
    });
    const problems: string[] = [];
    let isFound = false;
    for (const [at, { family, answer }] of asked.entries()) {
      const { addresses, problem } = await answer;
      const start = Math.floor(this.#options.random() * addresses.length);
      for (let i = 0; i < addresses.length; i++) {
        const others = asked.slice(at + 1).reduce((sum, { count }) => sum + count, 0);
        const address = addresses[(start + i) % addresses.length] as string;
        yield { address, left: addresses.length - 1 - i + others };
      }
      isFound ||= addresses.length > 0;
      problems.push(problem ?? `no ${recordOf(family)} record`);
    }
    if (!isFound) throw notResolved(hostname, problems);
  }

  #answer(hostname: string, family: 4 | 6): Answer | Promise<Answer> {
    const key = `${family} ${hostname}`;
    const known = this.#answers.get(key);
    if (known && known.untilMs > this.#options.clock.nowMs()) return known;
    let running = this.#running.get(key);
    if (!running) {
      if (this.#running.size >= (this.#options.maxQuestions ?? Infinity)) return this.#staleOf(known) ?? tooMany;
      running = this.#ask(hostname, family, known).then((answer) => {
        this.#running.delete(key);
        this.#keep(key, answer);
        return answer;
      });
      this.#running.set(key, running);
    }
    return running;
  }

  async #ask(hostname: string, family: 4 | 6, known: Answer | undefined): Promise<Answer> {
    const { query, clock } = this.#options;
    try {
      const records = await this.#withinTimeout(query(hostname, family));
      const ttlMs = Math.min(...records.map(({ ttlSeconds }) => ttlSeconds * 1000), longestTtlMs);
      const nowMs = clock.nowMs();
      return {
        addresses: records.map(({ address }) => canonicalIp(address)),
        untilMs: nowMs + (records.length === 0 ? negativeTtlMs : Math.max(ttlMs, shortestTtlMs)),
        learnedMs: nowMs,
        problem: undefined,
      };
    } catch (error) {
      const nowMs = clock.nowMs();
      const stale = this.#staleOf(known);
      return {
        addresses: stale?.addresses ?? [],
        untilMs: nowMs + negativeTtlMs,
        learnedMs: stale?.learnedMs ?? nowMs,
        problem: codeOf(error) ?? 'no answer',
      };
    }
  }

  /** What may stand in for an answer. */
  #staleOf(known: Answer | undefined): Answer | undefined {
    if (!known || known.addresses.length === 0) return undefined;
    return this.#options.clock.nowMs() - known.learnedMs < staleMs ? known : undefined;
  }

  #withinTimeout<T>(work: Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = clock.after(timeoutMs, () =>
        reject(new AmbitError(`Cannot get an answer within ${timeoutMs} ms`, { code: 'ETIMEOUT', blame: 'upstream' })),
      );
      work.then(resolve, reject).finally(cancel);
    });
  }

  #keep(key: string, answer: Answer): void {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= maxNames) break;
      this.#answers.delete(oldest);
    }
  }
}

const tooMany: Answer = { addresses: [], untilMs: 0, learnedMs: 0, problem: 'too many names are being resolved' };

function orderOf(allowed: IpFamilies, preferred: IpFamilies): IpFamilies[] {
  const wanted = [ipv4, ipv6].filter((family) => (family & allowed) !== 0);
  return wanted.toSorted((a, b) => Number((b & preferred) !== 0) - Number((a & preferred) !== 0));
}

function numberOf(family: IpFamilies): 4 | 6 {
  return family === ipv4 ? 4 : 6;
}

function recordOf(family: IpFamilies): string {
  return family === ipv4 ? 'A' : 'AAAA';
}

function notResolved(hostname: string, problems: readonly string[]): AmbitError {
  return new AmbitError(`Cannot resolve "${hostname}": ${problems.join(', ') || 'no IP family in common'}`, {
    code: 'outbound.name-not-resolved',
    blame: 'upstream',
  });
}

/** Asks the name servers of this process, from its own network namespace, as upstream does. */
export function systemNameQuery(): NameQuery {
  const resolver = new Resolver({ timeout: 1500, tries: 2 });
  return async (hostname, family) => {
    try {
      const records = await (family === 4
        ? resolver.resolve4(hostname, { ttl: true })
        : resolver.resolve6(hostname, { ttl: true }));
      return records.map(({ address, ttl }) => ({ address, ttlSeconds: ttl }));
    } catch (error) {
      // It exists without such a record, or does not exist: both are answers.
      if (codeOf(error) === 'ENODATA' || codeOf(error) === 'ENOTFOUND') return [];
      throw error;
    }
  };
}
