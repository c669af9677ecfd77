/** When something that died is started again: at once where it lived for long, else later each time. */
import { createBackoff, type Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';

const stableMs = 60_000;

export class Restarts {
  readonly #clock: Clock;
  readonly #backoff: Backoff = createBackoff({ initialMs: 100, maxMs: 10_000 });
  #startedMs = 0;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  started(): void {
    this.#startedMs = this.#clock.nowMs();
  }

  /** How long it has lived. */
  get livedMs(): number {
    return this.#clock.nowMs() - this.#startedMs;
  }

  /** It died: `start` is called when its turn comes. */
  after(start: () => void): void {
    if (this.livedMs >= stableMs) this.#backoff.reset();
    this.#cancel = this.#clock.after(this.#backoff.next(), start);
  }

  cancel(): void {
    this.#cancel();
  }
}

/** Resolves with `ended`, or after `deadlineMs`: then `onLate` is called before. */
export async function endedOrLate(
  ended: Promise<void>,
  { clock, deadlineMs, onLate }: { readonly clock: Clock; readonly deadlineMs: number; readonly onLate: () => void },
): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(deadlineMs, () => {
    onLate();
    late.resolve();
  });
  await Promise.race([ended, late.promise]);
  cancel();
}
