/**
 * Turns of questions about what lives on when a policy changes: an authorizer may be asked about thousands of connections at one moment,
 * while it also has to answer for each new request.
 */
import type { Clock } from '../../../lib/clock.ts';

/** `late`: its turn did not come in time. `over`: nobody waits for it any more. */
export type Turn = { readonly kind: 'now'; readonly end: () => void } | { readonly kind: 'late' | 'over' };

/** Of one authorizer, at a time. */
const mostAtOnce = 100;
/** A restriction holds for everybody in the end, also where its authorizer is slow. */
export const patienceMs = 60_000;

interface Line {
  asking: number;
  /** In the order in which they came. */
  readonly waiting: Set<(turn: Turn) => void>;
}

const turnsOf = new WeakMap<Clock, LiveTurns>();

/** Of the process: each configuration has filters of its own. */
export function liveTurns(clock: Clock): LiveTurns {
  let turns = turnsOf.get(clock);
  if (!turns) turnsOf.set(clock, (turns = new LiveTurns(clock)));
  return turns;
}

export class LiveTurns {
  readonly #clock: Clock;
  /** By authorizer that is asked. */
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whoever has a turn ends it, once. */
  take(authorizer: string, signal: AbortSignal): Promise<Turn> {
    if (signal.aborted) return Promise.resolve({ kind: 'over' });
    let line = this.#lines.get(authorizer);
    if (!line) this.#lines.set(authorizer, (line = { asking: 0, waiting: new Set() }));
    const { waiting } = line;
    if (line.asking < mostAtOnce) return Promise.resolve(this.#begin(authorizer, line));
    return new Promise((resolve) => {
      const settle = (turn: Turn): void => {
        waiting.delete(settle);
        cancel();
        signal.removeEventListener('abort', giveUp);
        resolve(turn);
      };
      const giveUp = (): void => settle({ kind: 'over' });
      const cancel = this.#clock.after(patienceMs, () => settle({ kind: 'late' }));
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.add(settle);
    });
  }

  #begin(authorizer: string, line: Line): Turn {
    line.asking++;
    return {
      kind: 'now',
      end: () => {
        line.asking--;
        const [next] = line.waiting;
        if (next) next(this.#begin(authorizer, line));
        else if (line.asking === 0) this.#lines.delete(authorizer);
      },
    };
  }
}
