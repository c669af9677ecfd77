/** Joins two byte channels: what one delivers the other writes, with back-pressure and half-close both ways. */
import { writeResult, type ByteChannel, type ChannelReader } from './channel.ts';

export interface PumpResult {
  readonly bytesAtoB: number;
  readonly bytesBtoA: number;
  /** Why it ended early; absent after both sides half-closed. */
  readonly error?: Error;
  /** The side whose channel failed first. */
  readonly failed?: 'a' | 'b';
}

export interface PumpOptions {
  /** Bytes read from `a` (or from `b`), as they come; for counters of live connections. Never throws. */
  readonly onBytes?: (from: 'a' | 'b', byteCount: number) => void;
  /** One side ended, the other has not: from here on only one direction is alive. At most once. Never throws. */
  readonly onHalfClose?: () => void;
  /** Both channels are closed. Exactly once. */
  readonly onEnd: (result: PumpResult) => void;
}

export interface Pump {
  /** Bytes read so far. */
  readonly bytesAtoB: number;
  readonly bytesBtoA: number;
  /** Ends both channels at once; `onEnd` follows with `error`. */
  abort(error: Error): void;
}

/** Starts at once; neither channel may have a reader yet. */
export function pump(a: ByteChannel, b: ByteChannel, options: PumpOptions): Pump {
  let open = 2;
  let failure: { error: Error; side: 'a' | 'b' | undefined } | undefined;
  const closed = (side: Direction, error: Error | undefined): void => {
    if (error && !failure) failure = { error, side: side.name };
    const last = --open === 0;
    // An orderly close of one side says nothing about bytes still on their way out of the other; a failure ends both.
    if (error) side.target.reset(error);
    if (!last) return;
    options.onEnd({
      bytesAtoB: aToB.byteCount,
      bytesBtoA: bToA.byteCount,
      ...(failure ? { error: failure.error } : {}),
      ...(failure?.side ? { failed: failure.side } : {}),
    });
  };
  const aToB = new Direction('a', a, b, closed, options.onBytes);
  const bToA = new Direction('b', b, a, closed, options.onBytes);
  aToB.opposite = bToA;
  bToA.opposite = aToB;
  aToB.onHalfClose = bToA.onHalfClose = options.onHalfClose;
  a.read(aToB);
  b.read(bToA);
  return {
    get bytesAtoB() {
      return aToB.byteCount;
    },
    get bytesBtoA() {
      return bToA.byteCount;
    },
    abort(error) {
      failure ??= { error, side: undefined };
      a.reset(error);
      b.reset(error);
    },
  };
}

/** Reads `source`, writes `target`. */
class Direction implements ChannelReader {
  readonly neverKeeps: boolean;
  readonly name: 'a' | 'b';
  readonly source: ByteChannel;
  readonly target: ByteChannel;
  readonly #closed: (side: Direction, error: Error | undefined) => void;
  readonly #onBytes: ((from: 'a' | 'b', byteCount: number) => void) | undefined;
  opposite!: Direction;
  onHalfClose: (() => void) | undefined;
  #ended = false;
  byteCount = 0;
  #uncredited = 0;
  #paused = false;

  constructor(
    name: 'a' | 'b',
    source: ByteChannel,
    target: ByteChannel,
    closed: (side: Direction, error: Error | undefined) => void,
    onBytes: ((from: 'a' | 'b', byteCount: number) => void) | undefined,
  ) {
    this.name = name;
    this.source = source;
    this.target = target;
    this.neverKeeps = target.neverKeeps;
    this.#closed = closed;
    this.#onBytes = onBytes;
  }

  onData(bytes: Uint8Array): boolean {
    const { length } = bytes;
    this.byteCount += length;
    this.#onBytes?.(this.name, length);
    const result = this.target.write(bytes);
    if (result === writeResult.done && !this.#paused) {
      this.source.credit(length);
      return false;
    }
    this.#uncredited += length;
    if (!this.#paused) {
      this.#paused = true;
      this.source.pause();
    }
    return result === writeResult.kept;
  }

  onEnd(): void {
    this.#ended = true;
    this.target.end();
    if (!this.opposite.#ended) this.onHalfClose?.();
  }

  /** `source` took everything that the opposite direction wrote. */
  onDrain(): void {
    this.opposite.flowAgain();
  }

  onClose(error?: Error): void {
    this.#closed(this, error);
  }

  flowAgain(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const { source } = this;
    const credit = this.#uncredited;
    this.#uncredited = 0;
    if (credit > 0) source.credit(credit);
    source.resume();
  }
}
