/** Memory that sockets read into: one buffer for all whose readers copy at once, private ones for the others. */

/** What one read may take of the shared buffer: little at first, all of it once a flow fills what it gets. */
const readSizes = [16 * 1024, 64 * 1024, 256 * 1024] as const;
const views: Uint8Array[] = [];

/** How far a flow has come along the sizes. */
export type ReadStep = 0 | 1 | 2;

/** The thread's shared read buffer, or the beginning of it. Its bytes are valid until the `onData` that lends them returns. */
export function sharedReadBuffer(step: ReadStep = 2): Uint8Array {
  if (views.length === 0) {
    const whole = new Uint8Array(readSizes[2]);
    for (const size of readSizes) views.push(whole.subarray(0, size));
  }
  // Each reader whose peer takes nothing keeps one read: many of them get small ones.
  return views[unsentBytes < ampleUnsentBytes ? step : 0] as Uint8Array;
}

/** Reads of the thread so far: what is written under one number comes of one read. */
let reads = 0;

/** Before a reader gets what one read brought. */
export function countRead(): void {
  reads = (reads + 1) | 0;
}

export function readNumber(): number {
  return reads;
}

/** Read, and not taken by the other side yet: over all connections of the thread. */
let unsentBytes = 0;
const ampleUnsentBytes = 16 * 1024 * 1024;

/** Whoever keeps a copy of read bytes says so, and says when it is gone. */
export function countUnsent(change: number): void {
  unsentBytes += change;
}

export function unsentByteCount(): number {
  return unsentBytes;
}

const smallest = 4 * 1024;
const largest = 256 * 1024;

/**
 * Private read memory of one channel: 4 KiB while little comes, up to 256 KiB for bulk flows, replaced when the reader
 * keeps it. Never shared, because native code writes into it without asking us first.
 */
export class PrivateReadBuffer {
  #current = new Uint8Array(smallest);
  #smallReads = 0;

  current(): Uint8Array {
    return this.#current;
  }

  /** After each read: `byteCount` of it were used, and the reader keeps the memory or not. */
  used(byteCount: number, kept: boolean): void {
    let size = this.#current.length;
    if (byteCount === size && size < largest) {
      size *= 4;
      this.#smallReads = 0;
    } else if (byteCount <= smallest && size > smallest) {
      this.#smallReads++;
      if (this.#smallReads >= 8) {
        size = smallest;
        this.#smallReads = 0;
      }
    } else {
      this.#smallReads = 0;
    }
    if (kept || size !== this.#current.length) this.#current = new Uint8Array(size);
  }
}
