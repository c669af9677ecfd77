/** Byte queue: copies of bytes that could not go on yet, in order, without a buffer per small piece. */

const smallestPiece = 1024;
const largestPiece = 64 * 1024;
/** From here on a rest is bulk data: it fills pieces of the pool, because memory of its own would keep the collector busy. */
const pooledFrom = 32 * 1024;
const maxSpare = 32;
const spare: Buffer[] = [];

/** Holds copies in few buffers: a queue of 1-byte pieces costs about what its bytes cost. */
export class ByteQueue {
  readonly #reuses: boolean;
  #pieces: { readonly bytes: Buffer; start: number; end: number }[] = [];
  #length = 0;

  /** `reuses`: nobody refers to what `peek` gave once it is consumed, so its memory serves the next. */
  constructor(reuses = false) {
    this.#reuses = reuses;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    let from = 0;
    this.#length += bytes.length;
    const tail = this.#pieces.at(-1);
    if (tail && tail.end < tail.bytes.length) {
      from = Math.min(bytes.length, tail.bytes.length - tail.end);
      tail.bytes.set(bytes.subarray(0, from), tail.end);
      tail.end += from;
    }
    if (this.#reuses) {
      for (; bytes.length - from >= pooledFrom; from += largestPiece) {
        const piece = spare.pop() ?? Buffer.allocUnsafeSlow(largestPiece);
        const end = Math.min(bytes.length - from, largestPiece);
        piece.set(bytes.subarray(from, from + end), 0);
        this.#pieces.push({ bytes: piece, start: 0, end });
      }
    }
    if (from >= bytes.length) return;
    const rest = bytes.length - from;
    const doubled = tail ? Math.min(tail.bytes.length * 2, largestPiece) : smallestPiece;
    const piece = Buffer.allocUnsafeSlow(tail ? Math.max(rest, doubled) : rest);
    piece.set(bytes.subarray(from), 0);
    this.#pieces.push({ bytes: piece, start: 0, end: rest });
  }

  /** The first bytes in line, to be looked at before `consume`; empty when the queue is. */
  peek(): Uint8Array {
    const head = this.#pieces[0];
    return head ? head.bytes.subarray(head.start, head.end) : new Uint8Array(0);
  }

  /** Drops the first `byteCount` bytes, at most those of one `peek`. */
  consume(byteCount: number): void {
    const head = this.#pieces[0];
    if (!head) return;
    head.start += byteCount;
    this.#length -= byteCount;
    if (head.start < head.end) return;
    this.#pieces.shift();
    if (this.#reuses) giveBack(head.bytes);
  }

  clear(): void {
    if (this.#reuses) for (const { bytes } of this.#pieces) giveBack(bytes);
    this.#pieces = [];
    this.#length = 0;
  }
}

function giveBack(piece: Buffer): void {
  if (piece.length === largestPiece && spare.length < maxSpare) spare.push(piece);
}
