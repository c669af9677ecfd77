/**
 * Outbox: frames are built in place in one staging buffer and leave once a turn, one `channel.write` in flight.
 *
 * Staging memory is borrowed from a pool of the thread while there is something to send, so an idle session has none.
 */
import { type ByteChannel, writeResult } from '../../net/channel.ts';
import { defaultWindowSize, frameHeaderLength } from './constants.ts';
import { flushAtTurnEnd, type TurnTask } from './turn-queue.ts';

/** More than this staged: writers are told to wait for the flush. */
const highWaterBytes = 128 * 1024;
/**
 * More than this staged: what they wrote already waits outside. In between it is staged at once, because the reads of other
 * streams in the same turn would be copied twice otherwise.
 */
const overflowBytes = 1024 * 1024;
const stagingBytes = 192 * 1024;
/** Grown buffers up to this are kept for the next one too. */
const largestPooledBytes = overflowBytes + 512 * 1024;
const pooledBuffers = 4;
const pool: Buffer[] = [];

/** A stream that was told to wait: called once when there is room again. */
export interface SendWaiter {
  resumeSending(): void;
}

export class Outbox implements TurnTask {
  readonly #channel: ByteChannel;
  #buffer: Buffer | undefined;
  #length = 0;
  /** What the last turn staged: the next one most likely stages as much. */
  #lastLength = 0;
  /** The buffer that the channel still refers to. */
  #kept: Buffer | undefined;
  #blocked = false;
  #queued = false;
  #closed = false;
  #ending = false;
  #flushWaiters: SendWaiter[] = [];
  #windowWaiters: SendWaiter[] = [];
  /** The peer's window for the connection. */
  connectionWindow: number = defaultWindowSize;
  /** So many WINDOW_UPDATEs are no more than an answer to what the peer got. */
  expectedUpdates = 0;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /** Writers stop until `resumeSending`. */
  get isFull(): boolean {
    return this.#length >= highWaterBytes;
  }

  /** No more DATA is staged before the flush. */
  get isOverflowing(): boolean {
    return this.#length >= overflowBytes;
  }

  /** Bytes staged and not handed to the channel yet. */
  get stagedBytes(): number {
    return this.#length;
  }

  /** Starts a frame: writes its header; returns where in `buffer` its payload goes. The caller fills it at once. */
  frame(type: number, flags: number, streamId: number, payloadLength: number): number {
    const at = this.#reserve(frameHeaderLength + payloadLength);
    const buffer = this.#buffer as Buffer;
    buffer[at] = payloadLength >>> 16;
    buffer[at + 1] = payloadLength >>> 8;
    buffer[at + 2] = payloadLength;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    buffer[at + 5] = streamId >>> 24;
    buffer[at + 6] = streamId >>> 16;
    buffer[at + 7] = streamId >>> 8;
    buffer[at + 8] = streamId;
    return at + frameHeaderLength;
  }

  /** The staging buffer that the last `frame` is in. */
  get buffer(): Buffer {
    return this.#buffer as Buffer;
  }

  /** A frame with the bytes `source[from, to)` as payload. */
  frameOf(
    type: number,
    flags: number,
    streamId: number,
    source: Uint8Array,
    from = 0,
    to: number = source.length,
  ): void {
    const length = to - from;
    const at = this.frame(type, flags, streamId, length);
    const buffer = this.#buffer as Buffer;
    // A view and a call into C++ cost more than copying a few bytes here.
    if (length < 64) for (let i = 0; i < length; i++) buffer[at + i] = source[from + i] as number;
    else if (length === source.length) buffer.set(source, at);
    else buffer.set(source.subarray(from, to), at);
  }

  /** A frame whose payload is one 32-bit number: RST_STREAM, WINDOW_UPDATE. */
  frameOfUint32(type: number, streamId: number, value: number): void {
    const at = this.frame(type, 0, streamId, 4);
    this.buffer.writeUInt32BE(value >>> 0, at);
  }

  /** Bytes outside any frame: the preface. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** `waiter` is resumed once, after the next flush went through. */
  waitForFlush(waiter: SendWaiter): void {
    this.#flushWaiters.push(waiter);
  }

  /** `waiter` is resumed once, when the peer gives the connection more window. */
  waitForWindow(waiter: SendWaiter): void {
    this.#windowWaiters.push(waiter);
  }

  /** `waiter` is over, and waits for nothing any more. */
  forget(waiter: SendWaiter): void {
    remove(this.#flushWaiters, waiter);
    remove(this.#windowWaiters, waiter);
  }

  /** Those who wait for a flush, or for window. */
  get waiting(): number {
    return this.#flushWaiters.length + this.#windowWaiters.length;
  }

  /** The peer gave the connection more window. */
  openConnectionWindow(byteCount: number): void {
    this.connectionWindow += byteCount;
    const waiters = this.#windowWaiters;
    if (waiters.length === 0) return;
    this.#windowWaiters = [];
    let next = 0;
    while (next < waiters.length && this.connectionWindow > 0) (waiters[next++] as SendWaiter).resumeSending();
    // A little window costs no more than those whom it serves. The others keep their places.
    if (next < waiters.length) this.#windowWaiters = [...waiters.slice(next), ...this.#windowWaiters];
  }

  /** Sends what is staged, then half-closes the channel. */
  end(): void {
    this.#ending = true;
    this.runTurn();
  }

  /** The channel took what was `full` or `kept`. */
  onDrain(): void {
    this.#blocked = false;
    if (this.#kept) {
      giveBack(this.#kept);
      this.#kept = undefined;
    }
    this.runTurn();
    if (!this.#blocked) this.#wake();
  }

  /** Drops everything: the channel is gone. */
  close(): void {
    this.#closed = true;
    this.#flushWaiters = [];
    this.#windowWaiters = [];
    if (this.#buffer) giveBack(this.#buffer);
    this.#buffer = undefined;
    this.#length = 0;
    this.#kept = undefined;
  }

  /** Flushes. At the end of a turn; also called where waiting for it makes no sense. */
  runTurn(): void {
    this.#queued = false;
    if (this.#closed || this.#blocked) return;
    if (this.#length > 0) this.#write();
    if (this.#ending && this.#length === 0 && !this.#blocked) this.#channel.end();
  }

  /**
   * Before a read is handled: that may write to many sockets, each of which may give the core to its reader, and what was staged in
   * this turn would wait for all of them.
   */
  flushEarly(): void {
    if (this.#length > 0 && !this.#blocked && !this.#closed) this.#write();
  }

  #write(): void {
    // The buffer is detached first: whatever the channel calls back from inside `write` stages into another one.
    const buffer = this.#buffer as Buffer;
    const length = this.#length;
    this.#buffer = undefined;
    this.#length = 0;
    this.#lastLength = length;
    const result = this.#channel.write(buffer.subarray(0, length));
    if (result === writeResult.kept) this.#kept = buffer;
    else giveBack(buffer);
    if (result === writeResult.done) this.#wake();
    else this.#blocked = true;
  }

  #wake(): void {
    const waiters = this.#flushWaiters;
    if (waiters.length === 0) return;
    this.#flushWaiters = [];
    for (const waiter of waiters) waiter.resumeSending();
  }

  #reserve(byteCount: number): number {
    if (this.#closed) this.#length = 0;
    const at = this.#length;
    const needed = at + byteCount;
    if (this.#buffer === undefined) this.#buffer = borrow(Math.max(needed, this.#lastLength));
    else if (this.#buffer.length < needed) {
      const larger = borrow(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, at));
      giveBack(this.#buffer);
      this.#buffer = larger;
    }
    this.#length = needed;
    if (!this.#queued && !this.#blocked && !this.#closed) {
      this.#queued = true;
      flushAtTurnEnd(this);
    }
    return at;
  }
}

function remove(waiters: SendWaiter[], waiter: SendWaiter): void {
  const at = waiters.indexOf(waiter);
  if (at >= 0) waiters.splice(at, 1);
}

function borrow(byteCount: number): Buffer {
  for (let i = pool.length - 1; i >= 0; i--) {
    const buffer = pool[i] as Buffer;
    if (buffer.length < byteCount) continue;
    pool.splice(i, 1);
    return buffer;
  }
  return Buffer.allocUnsafeSlow(Math.max(stagingBytes, byteCount));
}

/** A larger one takes the place of the smallest: small flows would else leave nothing for the bulk flows that follow (-45 % CPU a MB there). */
function giveBack(buffer: Buffer): void {
  if (buffer.length > largestPooledBytes) return;
  if (pool.length < pooledBuffers) return void pool.push(buffer);
  let smallest = 0;
  for (let i = 1; i < pool.length; i++) {
    if ((pool[i] as Buffer).length < (pool[smallest] as Buffer).length) smallest = i;
  }
  if ((pool[smallest] as Buffer).length < buffer.length) pool[smallest] = buffer;
}
