/** Waits for what discovery tells others a moment before it tells us: each change is looked at, until a deadline. */
import type { Clock } from '../../lib/clock.ts';
import type { MeshState } from '../../mesh/index.ts';

export interface LateNewsOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  /** More are refused at once: each change costs a look for each. Default `mostWaiting`. */
  readonly maxWaiting?: number;
  /** The end of the process: nobody waits on. */
  readonly ended: AbortSignal;
}

/** The control plane may be restarting, or slow: clients of ours wait as long for a peer that does not answer. */
const patienceMs = 10_000;
/** Of a process. */
export const mostWaiting = 4096;

export class LateNews {
  readonly #options: LateNewsOptions;
  readonly #waiting = new Set<Waiting>();

  constructor(options: LateNewsOptions) {
    this.#options = options;
    const unsubscribe = options.mesh.subscribe(({ kind }) => {
      if (kind === 'addresses') this.look();
    });
    const end = (): void => {
      unsubscribe();
      for (const { giveUp } of this.#waiting) giveUp();
    };
    options.ended.addEventListener('abort', end, { once: true });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The configuration has changed. */
  look(): void {
    for (const waiting of this.#waiting) waiting.look();
  }

  /**
   * The first value that `probe` gives after a change; undefined at the deadline, when `signal` aborts, when the process ends, or
   * when too many wait. `probe` must not throw.
   */
  async wait<T>(probe: () => T | undefined, signal: AbortSignal): Promise<T | undefined> {
    const { clock, ended, maxWaiting = mostWaiting } = this.#options;
    if (this.#waiting.size >= maxWaiting || ended.aborted || signal.aborted) return undefined;
    const settled = Promise.withResolvers<T | undefined>();
    const waiting: Waiting = {
      look() {
        const value = probe();
        if (value !== undefined) settled.resolve(value);
      },
      giveUp: () => settled.resolve(undefined),
    };
    this.#waiting.add(waiting);
    const cancel = clock.after(patienceMs, waiting.giveUp);
    signal.addEventListener('abort', waiting.giveUp, { once: true });
    try {
      return await settled.promise;
    } finally {
      this.#waiting.delete(waiting);
      cancel();
      signal.removeEventListener('abort', waiting.giveUp);
    }
  }
}

interface Waiting {
  look(): void;
  readonly giveUp: () => void;
}
