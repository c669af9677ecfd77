/** The bytes of a section (head or trailers) that comes in more than one read. */
import { Http1Error, malformed } from './errors.ts';

const firstSize = 1024;

/** Gathers up to and with the first empty line. Each byte is looked at once, and what can never be a section is refused at once. */
export class HeadBuffer {
  readonly #longLineStatus: 414 | 431;
  #memory: Buffer | undefined;
  #length = 0;
  #lineStart = 0;
  #lastByte = 0;

  /** Status of a first line that is too long. */
  constructor(longLineStatus: 414 | 431) {
    this.#longLineStatus = longLineStatus;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** What was gathered; valid until the next call. */
  bytes(): Uint8Array {
    return this.#memory ? this.#memory.subarray(0, this.#length) : new Uint8Array(0);
  }

  /** Takes bytes from `start` on; the result is where the section ends in `bytes`, or -1: more is needed. */
  take(bytes: Uint8Array, start: number, maxBytes: number): number {
    const limit = Math.min(bytes.length, start + maxBytes - this.#length);
    let last = this.#lastByte;
    let at = start;
    let isWhole = false;
    for (; at < limit && !isWhole; at++) {
      const byte = bytes[at] as number;
      if (byte === 0x0a) {
        if (last !== 0x0d) throw malformed('A line feed stands alone');
        const lineLength = this.#length + (at - start) - this.#lineStart;
        this.#lineStart += lineLength + 1;
        isWhole = lineLength === 1;
      } else if (last === 0x0d) {
        throw malformed('A carriage return stands alone');
      } else if (byte < 0x20 && byte !== 0x0d && byte !== 0x09) {
        throw malformed('A control character');
      }
      last = byte;
    }
    this.#lastByte = last;
    if (!isWhole && at < bytes.length) {
      const status = this.#lineStart === 0 ? this.#longLineStatus : 431;
      throw new Http1Error(status, `A section of more than ${maxBytes} bytes`);
    }
    this.#append(bytes, start, at);
    return isWhole ? at : -1;
  }

  clear(): void {
    this.#memory = undefined;
    this.#length = 0;
    this.#lineStart = 0;
    this.#lastByte = 0;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    if (!this.#memory || this.#memory.length < length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(firstSize, length, 2 * this.#length));
      if (this.#memory) larger.set(this.#memory.subarray(0, this.#length));
      this.#memory = larger;
    }
    this.#memory.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#length);
    this.#length = length;
  }
}
