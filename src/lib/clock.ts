/** Time as an argument: what waits takes a Clock, so that tests move it by hand. */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Calls `run` once after `delayMs`; the returned function cancels. Does not keep the process alive by itself. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    // setTimeout holds 31 bits of milliseconds; longer waits go in steps.
    const stepMs = Math.min(Math.max(delayMs, 0), 2 ** 31 - 1);
    let cancelRest: (() => void) | undefined;
    const timer = setTimeout(() => {
      if (delayMs > stepMs) cancelRest = systemClock.after(delayMs - stepMs, run);
      else run();
    }, stepMs);
    timer.unref();
    return () => {
      clearTimeout(timer);
      cancelRest?.();
    };
  },
};

/** A clock that was set, or a machine that slept, is noticed within this time. */
const lookAgainMs = 60_000;

/**
 * Calls `run` once, soon after the time of day is `atMs`; the returned function cancels. Timers count the time that a machine runs:
 * what ends by the calendar must not wait for one alone.
 */
export function afterTime(clock: Clock, atMs: number, run: () => void): () => void {
  let cancel = (): void => {};
  const wait = (): void => {
    const leftMs = Math.max(atMs - clock.nowMs(), 0);
    cancel = clock.after(Math.min(leftMs, lookAgainMs), () => {
      if (clock.nowMs() >= atMs) run();
      else wait();
    });
  };
  wait();
  return () => cancel();
}

/** Resolves after `delayMs`, or at once when `signal` aborts (it never rejects: test `signal.aborted`). Keeps the process alive. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal?.addEventListener('abort', done, { once: true });
  });
}
