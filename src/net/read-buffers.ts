/** Memory that sockets read into: one buffer for all whose readers copy at once, private ones for the others. */

const sharedBytes = 256 * 1024;
let shared: Uint8Array | undefined;

/** The thread's shared read buffer. Its bytes are valid until the `onData` that lends them returns. */
export function sharedReadBuffer(): Uint8Array {
  return (shared ??= new Uint8Array(sharedBytes));
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
