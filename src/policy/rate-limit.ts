/** Local rate limits: token buckets by key, in bounded memory. Pure: time is an argument. */

export interface BucketShape {
  /** Tokens of a full bucket. */
  readonly burst: number;
  /** So many come back in each interval, evenly. */
  readonly tokens: number;
  readonly intervalMs: number;
}

export interface BucketLevel {
  /** Whole tokens that are left. */
  readonly remaining: number;
  /** Until there is a whole one; 0: there is. */
  readonly nextMs: number;
  readonly fullMs: number;
}

/** More keys than this, and those that were used least recently begin anew with a full bucket. */
const defaultMaxKeys = 20_000;

/**
 * A bucket is one number: the time at which it will be full again. Keys are in two generations; when the young one has half of the
 * keys, it becomes the old one and the old one goes.
 */
export class TokenBuckets {
  readonly #burst: number;
  readonly #msPerToken: number;
  readonly #generationSize: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  constructor(shape: BucketShape, maxKeys: number = defaultMaxKeys) {
    this.#burst = shape.burst;
    this.#msPerToken = shape.intervalMs / shape.tokens;
    this.#generationSize = Math.max(1, Math.ceil(maxKeys / 2));
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  level(key: string, nowMs: number): BucketLevel {
    return this.#levelAt(this.#fullAt(key, nowMs), nowMs);
  }

  /** Takes a token, which must be there; what is left. */
  take(key: string, nowMs: number): BucketLevel {
    const fullAt = this.#fullAt(key, nowMs) + this.#msPerToken;
    if (!this.#young.has(key)) {
      this.#old.delete(key);
      if (this.#young.size >= this.#generationSize) {
        this.#old = this.#young;
        this.#young = new Map();
      }
    }
    this.#young.set(key, fullAt);
    return this.#levelAt(fullAt, nowMs);
  }

  #fullAt(key: string, nowMs: number): number {
    const fullAt = this.#young.get(key) ?? this.#old.get(key);
    if (fullAt === undefined || fullAt <= nowMs) return nowMs;
    const latest = nowMs + this.#burst * this.#msPerToken;
    if (fullAt <= latest) return fullAt;
    // The clock was put back: from now on the bucket is an empty one.
    (this.#young.has(key) ? this.#young : this.#old).set(key, latest);
    return latest;
  }

  #levelAt(fullAt: number, nowMs: number): BucketLevel {
    const fullMs = fullAt - nowMs;
    // Rounding errors of the division must not eat a token.
    const tokens = this.#burst - fullMs / this.#msPerToken + 1e-9;
    const remaining = Math.max(0, Math.floor(tokens));
    return { remaining, nextMs: remaining > 0 ? 0 : Math.ceil((1 - tokens) * this.#msPerToken), fullMs };
  }
}
