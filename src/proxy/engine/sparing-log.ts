/** Lines of the log whose number others decide: one of a kind in a while, which says how many there were since the one before. */
import type { Clock } from '../../lib/clock.ts';

const periodMs = 10_000;
/** Kinds beyond share one. */
const mostKinds = 64;

interface Kind {
  sinceMs: number;
  unwritten: number;
}

export class SparingLog {
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a line of this kind is due: the fields that it gets besides its own; undefined: it is not, and counted. */
  due(kind: string): { readonly alsoSinceLastLine?: number } | undefined {
    const nowMs = this.#clock.nowMs();
    const name = this.#kinds.has(kind) || this.#kinds.size < mostKinds ? kind : '';
    const known = this.#kinds.get(name);
    if (known && nowMs - known.sinceMs < periodMs) {
      known.unwritten++;
      return undefined;
    }
    this.#kinds.set(name, { sinceMs: nowMs, unwritten: 0 });
    return known && known.unwritten > 0 ? { alsoSinceLastLine: known.unwritten } : {};
  }
}
