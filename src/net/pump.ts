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
  const joint = new Joint(a, b, options);
  joint.start();
  return joint;
}

/**
 * A class, as one of these is made for each connection: V8 allocates getters of a literal in the old generation, where all that they refer
 * to stays until a full collection.
 */
class Joint implements Pump {
  readonly #options: PumpOptions;
  readonly #aToB: Direction;
  readonly #bToA: Direction;
  #open = 2;
  #failure: { readonly error: Error; readonly side: 'a' | 'b' | undefined } | undefined;

  constructor(a: ByteChannel, b: ByteChannel, options: PumpOptions) {
    this.#options = options;
    this.#aToB = new Direction('a', a, b, this);
    this.#bToA = new Direction('b', b, a, this);
    this.#aToB.opposite = this.#bToA;
    this.#bToA.opposite = this.#aToB;
  }

  get bytesAtoB(): number {
    return this.#aToB.byteCount;
  }

  get bytesBtoA(): number {
    return this.#bToA.byteCount;
  }

  start(): void {
    this.#aToB.source.read(this.#aToB);
    this.#bToA.source.read(this.#bToA);
  }

  abort(error: Error): void {
    this.#failure ??= { error, side: undefined };
    this.#aToB.source.reset(error);
    this.#bToA.source.reset(error);
  }

  onBytes(from: 'a' | 'b', byteCount: number): void {
    this.#options.onBytes?.(from, byteCount);
  }

  onHalfClose(): void {
    this.#options.onHalfClose?.();
  }

  onClosed(side: Direction, error: Error | undefined): void {
    if (error && !this.#failure) this.#failure = { error, side: side.name };
    const last = --this.#open === 0;
    // An orderly close of one side says nothing about bytes still on their way out of the other; a failure ends both.
    if (error) side.target.reset(error);
    if (!last) return;
    const { bytesAtoB, bytesBtoA } = this;
    const failure = this.#failure;
    this.#options.onEnd({
      bytesAtoB,
      bytesBtoA,
      ...(failure ? { error: failure.error } : {}),
      ...(failure?.side ? { failed: failure.side } : {}),
    });
  }
}

/** Reads `source`, writes `target`. */
class Direction implements ChannelReader {
  readonly neverKeeps: boolean;
  readonly name: 'a' | 'b';
  readonly source: ByteChannel;
  readonly target: ByteChannel;
  readonly #joint: Joint;
  opposite!: Direction;
  #ended = false;
  byteCount = 0;
  #uncredited = 0;
  #paused = false;

  constructor(name: 'a' | 'b', source: ByteChannel, target: ByteChannel, joint: Joint) {
    this.name = name;
    this.source = source;
    this.target = target;
    this.neverKeeps = target.neverKeeps;
    this.#joint = joint;
  }

  onData(bytes: Uint8Array): boolean {
    const { length } = bytes;
    this.byteCount += length;
    this.#joint.onBytes(this.name, length);
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
    if (!this.opposite.#ended) this.#joint.onHalfClose();
  }

  /** `source` took everything that the opposite direction wrote. */
  onDrain(): void {
    this.opposite.flowAgain();
  }

  onClose(error?: Error): void {
    this.#joint.onClosed(this, error);
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
