/** Waits for a burst of changes to end before acting on it, but not for ever. */
import { systemClock, type Clock } from '../lib/clock.ts';

export interface DebounceOptions {
  /** Acts when nothing came for this long... */
  readonly quietMs: number;
  /** ...or this long after the first. */
  readonly maxMs: number;
  readonly clock?: Clock;
  readonly run: () => void;
}

export interface Debounce {
  /** Something changed. */
  poke(): void;
  /** Drops what is pending. */
  cancel(): void;
}

export function createDebounce({ quietMs, maxMs, clock = systemClock, run }: DebounceOptions): Debounce {
  let deadlineMs: number | undefined;
  let cancelTimer: (() => void) | undefined;
  const fire = (): void => {
    deadlineMs = undefined;
    cancelTimer = undefined;
    run();
  };
  return {
    poke() {
      const nowMs = clock.nowMs();
      deadlineMs ??= nowMs + maxMs;
      cancelTimer?.();
      cancelTimer = clock.after(Math.max(0, Math.min(quietMs, deadlineMs - nowMs)), fire);
    },
    cancel() {
      cancelTimer?.();
      cancelTimer = undefined;
      deadlineMs = undefined;
    },
  };
}
