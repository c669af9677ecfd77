/**
 * Token buckets that the workers of one process keep together, in memory that they share.
 *
 * A bucket is one number, as in `policy/rate-limit.ts`: when it will be full again. Its place is found by the hash of its key, among
 * the few of one set; a bucket that is full is the same as none, and its place is free. Where all of a set are in use, the one that is
 * full first begins anew. A set is changed by one thread at a time. Hashes depend on a secret of the process: keys are what clients say,
 * and who could choose the set of a key would have others' buckets begin anew.
 */
import { hash, randomFillSync } from 'node:crypto';
import {
  bucketLevel,
  fullAtNow,
  type BucketLevel,
  type BucketShape,
  type TokenStore,
} from '../../policy/rate-limit.ts';

const setCount = 16_384;
const setSize = 8;
const slots = setCount * setSize;

// Who changes a set, 0 for nobody; two words of each key's hash; times; the secret.
const locksAt = 0;
const keysAt = locksAt + setCount * 4;
const timesAt = keysAt + slots * 8;
const secretAt = timesAt + slots * 8;
const secretLength = 16;

/** A holder that is not running is waited for this long at a time. */
const patienceMs = 1;
const spins = 100;

export function allocateBuckets(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(secretAt + secretLength);
  randomFillSync(new Uint8Array(memory, secretAt));
  return memory;
}

/** Lets go of what a worker that has ended was changing. */
export function releaseBuckets(memory: SharedArrayBuffer, worker: number): void {
  const locks = new Int32Array(memory, locksAt, setCount);
  for (let set = 0; set < setCount; set++) {
    if (Atomics.compareExchange(locks, set, worker + 1, 0) === worker + 1) Atomics.notify(locks, set);
  }
}

export class SharedBuckets {
  readonly #holder: number;
  readonly #locks: Int32Array;
  readonly #keys: Int32Array;
  readonly #times: Float64Array;
  readonly #secret: string;

  /** `worker`: from 0, the one that this is for. */
  constructor(memory: SharedArrayBuffer, worker: number) {
    this.#holder = worker + 1;
    this.#locks = new Int32Array(memory, locksAt, setCount);
    this.#keys = new Int32Array(memory, keysAt, slots * 2);
    this.#times = new Float64Array(memory, timesAt, slots);
    this.#secret = Buffer.from(memory, secretAt).toString('hex');
  }

  /** Buckets of one rule; those of the same name and shape are the same in every worker. */
  store(name: string, shape: BucketShape): TokenStore {
    const prefix = `${this.#secret}${name}\0${shape.burst} ${shape.tokens} ${shape.intervalMs}\0`;
    return {
      level: (key, nowMs) =>
        bucketLevel(
          shape,
          this.#change(prefix + key, nowMs, (fullAt) => fullAt, shape),
          nowMs,
        ),
      take: (key, nowMs) => this.#take(prefix + key, nowMs, shape),
      giveBack: (key, nowMs) => {
        this.#change(prefix + key, nowMs, (fullAt) => Math.max(fullAt - shape.intervalMs / shape.tokens, nowMs), shape);
      },
    };
  }

  #take(key: string, nowMs: number, shape: BucketShape): BucketLevel | undefined {
    let taken = false;
    const after = this.#change(
      key,
      nowMs,
      (fullAt) => {
        taken = bucketLevel(shape, fullAt, nowMs).remaining > 0;
        return taken ? fullAt + shape.intervalMs / shape.tokens : fullAt;
      },
      shape,
    );
    return taken ? bucketLevel(shape, after, nowMs) : undefined;
  }

  /** What `next` made of the time at which the key's bucket is full. */
  #change(key: string, nowMs: number, next: (fullAt: number) => number, shape: BucketShape): number {
    const digest = hash('sha256', key, 'buffer');
    const first = digest.readInt32LE(0);
    const second = digest.readInt32LE(4);
    const set = digest.readUInt32LE(8) % setCount;
    this.#lock(set);
    try {
      const known = this.#find(set, first, second);
      const before = known < 0 ? nowMs : fullAtNow(shape, this.#times[known] ?? 0, nowMs);
      const after = next(before);
      if (known < 0 && after <= nowMs) return after;
      const slot = known < 0 ? this.#earliest(set) : known;
      this.#keys[2 * slot] = first;
      this.#keys[2 * slot + 1] = second;
      this.#times[slot] = after;
      return after;
    } finally {
      Atomics.store(this.#locks, set, 0);
    }
  }

  #lock(set: number): void {
    for (let tries = 0; ; tries++) {
      const holder = Atomics.compareExchange(this.#locks, set, 0, this.#holder);
      if (holder === 0) return;
      // Whoever has it needs a microsecond, if it runs.
      if (tries >= spins) Atomics.wait(this.#locks, set, holder, patienceMs);
    }
  }

  /** -1: the key has no place. */
  #find(set: number, first: number, second: number): number {
    const start = set * setSize;
    for (let slot = start; slot < start + setSize; slot++) {
      if (this.#keys[2 * slot] === first && this.#keys[2 * slot + 1] === second) return slot;
    }
    return -1;
  }

  /** Of the bucket that is full, or will be first. */
  #earliest(set: number): number {
    const start = set * setSize;
    let found = start;
    for (let slot = start + 1; slot < start + setSize; slot++) {
      if ((this.#times[slot] ?? 0) < (this.#times[found] ?? 0)) found = slot;
    }
    return found;
  }
}
