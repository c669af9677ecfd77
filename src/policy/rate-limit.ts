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

/** Buckets of one shape, by key. */
export interface TokenStore {
  level(key: string, nowMs: number): BucketLevel;
  /** Takes a token; what is left. Undefined: there is none any more, as others take from the same buckets. */
  take(key: string, nowMs: number): BucketLevel | undefined;
  /** Puts back what was taken just now. */
  giveBack(key: string, nowMs: number): void;
}

/** What is in a bucket that will be full at `fullAt`, which is not before now. */
export function bucketLevel({ burst, tokens, intervalMs }: BucketShape, fullAt: number, nowMs: number): BucketLevel {
  const msPerToken = intervalMs / tokens;
  const fullMs = fullAt - nowMs;
  // Rounding errors of the division must not eat a token.
  const left = burst - fullMs / msPerToken + 1e-9;
  const remaining = Math.max(0, Math.floor(left));
  return { remaining, nextMs: remaining > 0 ? 0 : Math.ceil((1 - left) * msPerToken), fullMs };
}

/** When a bucket is full of which that was kept: now, or at most an empty one's time from now, as where the clock was put back. */
export function fullAtNow({ burst, tokens, intervalMs }: BucketShape, kept: number, nowMs: number): number {
  return Math.min(Math.max(kept, nowMs), nowMs + burst * (intervalMs / tokens));
}

/** More keys than this, and those that were used least recently begin anew with a full bucket. */
const defaultMaxKeys = 20_000;

/**
 * A bucket is one number: the time at which it will be full again. Keys are in two generations; when the young one has half of the
 * keys, it becomes the old one and the old one goes.
 */
export class TokenBuckets implements TokenStore {
  readonly #shape: BucketShape;
  readonly #msPerToken: number;
  readonly #generationSize: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  constructor(shape: BucketShape, maxKeys: number = defaultMaxKeys) {
    this.#shape = shape;
    this.#msPerToken = shape.intervalMs / shape.tokens;
    this.#generationSize = Math.max(1, Math.ceil(maxKeys / 2));
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  level(key: string, nowMs: number): BucketLevel {
    return bucketLevel(this.#shape, this.#fullAt(key, nowMs), nowMs);
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
    return bucketLevel(this.#shape, fullAt, nowMs);
  }

  giveBack(key: string, nowMs: number): void {
    const fullAt = Math.max(this.#fullAt(key, nowMs) - this.#msPerToken, nowMs);
    for (const keys of [this.#young, this.#old]) if (keys.has(key)) keys.set(key, fullAt);
  }

  #fullAt(key: string, nowMs: number): number {
    const kept = this.#young.get(key) ?? this.#old.get(key);
    if (kept === undefined) return nowMs;
    const fullAt = fullAtNow(this.#shape, kept, nowMs);
    // The clock was put back: from now on the bucket is an empty one.
    if (fullAt < kept) (this.#young.has(key) ? this.#young : this.#old).set(key, fullAt);
    return fullAt;
  }
}
