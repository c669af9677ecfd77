/** Delays between tries: exponential, capped, with jitter. */

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Share of the delay that is random, 0 to 1; default 0.2 (plus or minus). */
  readonly jitter?: number;
  readonly random?: () => number;
}

export interface Backoff {
  /** The next delay in milliseconds; each call doubles the one after it. */
  next(): number;
  /** Forget the failures: the next delay is the initial one. */
  reset(): void;
}

export function createBackoff(options: BackoffOptions): Backoff {
  const { initialMs, maxMs, jitter = 0.2, random = Math.random } = options;
  let baseMs = initialMs;
  return {
    next() {
      const delayMs = baseMs * (1 + jitter * (2 * random() - 1));
      baseMs = Math.min(baseMs * 2, maxMs);
      return Math.min(delayMs, maxMs);
    },
    reset() {
      baseMs = initialMs;
    },
  };
}
