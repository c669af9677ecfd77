/** Two byte channels joined in memory: the simplest implementation of the contract, and the strictest peer for tests. */
import { AmbitError } from '../lib/errors.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from './channel.ts';

export interface MemoryChannelOptions {
  /** A direction is full when this much waits; default 64 KiB. */
  readonly highWaterBytes?: number;
  /** Refer to the writer's memory when full (`kept`) instead of copying it (`full`). */
  readonly keeps?: boolean;
}

/** A pair: what one end writes the other reads, in later turns of the event loop. */
export function memoryChannelPair(options: MemoryChannelOptions = {}): [ByteChannel, ByteChannel] {
  const a = new MemoryChannel(options);
  const b = new MemoryChannel(options);
  a.join(b);
  b.join(a);
  return [a, b];
}

class MemoryChannel implements ByteChannel {
  readonly neverKeeps: boolean;
  readonly #highWaterBytes: number;
  #peer!: MemoryChannel;
  #reader: ChannelReader | undefined;
  /** What the peer wrote and our reader did not get yet. */
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #peerEnded = false;
  #endDelivered = false;
  #ended = false;
  #paused = false;
  #drainOwed = false;
  #scheduled = false;
  #over: { error: Error | undefined } | undefined;
  #closeDelivered = false;

  constructor(options: MemoryChannelOptions) {
    this.#highWaterBytes = options.highWaterBytes ?? 64 * 1024;
    this.neverKeeps = options.keeps !== true;
  }

  join(peer: MemoryChannel): void {
    this.#peer = peer;
  }

  read(reader: ChannelReader): void {
    if (this.#reader) throw new Error('A channel has one reader');
    this.#reader = reader;
    this.#schedule();
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.#ended || this.#over || bytes.length === 0) return writeResult.done;
    const peer = this.#peer;
    const full = peer.#inboxBytes + bytes.length >= this.#highWaterBytes;
    const kept = full && !this.neverKeeps;
    peer.#inbox.push(kept ? bytes : Uint8Array.from(bytes));
    peer.#inboxBytes += bytes.length;
    peer.#schedule();
    if (!full) return writeResult.done;
    this.#drainOwed = true;
    return kept ? writeResult.kept : writeResult.full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  credit(): void {}

  end(): void {
    if (this.#ended || this.#over) return;
    this.#ended = true;
    this.#peer.#peerEnded = true;
    this.#peer.#schedule();
  }

  reset(error?: Error): void {
    if (this.#over) return;
    this.#close(error ?? new AmbitError('Connection was reset here', { code: 'net.reset', blame: 'internal' }));
    this.#peer.#close(
      new AmbitError('Connection was reset by the peer', { code: 'net.econnreset', blame: 'upstream' }),
    );
  }

  #close(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = { error };
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const reader = this.#reader;
    if (!reader || this.#closeDelivered) return;
    while (this.#inbox.length > 0 && !this.#paused && !this.#over) {
      const bytes = this.#inbox.shift() as Uint8Array;
      this.#inboxBytes -= bytes.length;
      // Lent memory that is not kept is destroyed, so that a reader that looks later is caught. A writer's kept memory is its own.
      const lent = Uint8Array.from(bytes);
      if (!reader.onData(lent)) lent.fill(0xdb);
    }
    if (this.#inbox.length === 0) this.#peer.#drained();
    if (this.#peerEnded && this.#inbox.length === 0 && !this.#endDelivered && !this.#over) {
      this.#endDelivered = true;
      reader.onEnd();
    }
    if (!this.#over && this.#endDelivered && this.#ended && this.#peer.#endDelivered) {
      this.#over = { error: undefined };
      this.#peer.#close(undefined);
    }
    if (this.#over && !this.#closeDelivered) {
      this.#closeDelivered = true;
      reader.onClose(this.#over.error);
    }
  }

  #drained(): void {
    if (!this.#drainOwed || this.#over || !this.#reader) return;
    this.#drainOwed = false;
    this.#reader.onDrain();
  }
}
