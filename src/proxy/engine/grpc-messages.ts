/** Counts the messages in a gRPC body as it goes by: a byte of flags, four of length, then so many bytes. */

const headLength = 5;

export class GrpcMessages {
  /** Messages that have begun. */
  count = 0;
  /** Bytes of the message that are still to come. */
  #rest = 0;
  #headBytes = 0;
  #length = 0;

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#rest > 0) {
        const step = Math.min(this.#rest, bytes.length - at);
        this.#rest -= step;
        at += step;
        continue;
      }
      if (this.#headBytes++ > 0) this.#length = this.#length * 256 + (bytes[at] as number);
      at++;
      if (this.#headBytes < headLength) continue;
      this.count++;
      this.#rest = this.#length;
      this.#headBytes = 0;
      this.#length = 0;
    }
  }
}
