/** Looks at the first bytes of a channel and gives them back to whoever reads it. */
import type { Clock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import type { ByteChannel, ChannelReader, WriteResult } from '../net/channel.ts';
import { atTurnEnd, type TurnEnd } from '../net/turn.ts';
import { sniffProtocol, type SniffedProtocol } from './protocol-sniff.ts';

export interface SniffOptions {
  readonly clock: Clock;
  /** A client that has not said enough by then is `other`; 0: it is waited for. */
  readonly timeoutMs: number;
}

export interface SniffedChannel {
  readonly protocol: SniffedProtocol;
  /** All that came, from the first byte on. Nobody has read from it. */
  readonly channel: ByteChannel;
}

/** Takes over `channel`, from which nothing was read. Rejects, with the channel reset, when its client ends before it has said anything. */
export function sniffChannel(channel: ByteChannel, options: SniffOptions): Promise<SniffedChannel> {
  return new Promise((resolve, reject) => {
    const replayed = new ReplayedChannel(channel, (protocol, error) => {
      cancel?.();
      cancel = undefined;
      if (protocol) return resolve({ protocol, channel: replayed });
      channel.reset();
      reject(
        error ??
          new AmbitError('Connection closed before its first byte', { code: 'http.no-bytes', blame: 'downstream' }),
      );
    });
    let cancel =
      options.timeoutMs > 0
        ? options.clock.after(options.timeoutMs, () => replayed.decide({ kind: 'other' }))
        : undefined;
    replayed.start();
  });
}

type OnDecided = (protocol: SniffedProtocol | undefined, error?: Error) => void;

class ReplayedChannel implements ByteChannel, ChannelReader, TurnEnd {
  readonly neverKeeps: boolean;
  readonly #channel: ByteChannel;
  #onDecided: OnDecided | undefined;
  #reader: ChannelReader | undefined;
  /** What came before there was a reader. */
  #held: Buffer = Buffer.alloc(0);
  #delivering = false;
  #paused = false;
  #endOwed = false;
  #closed: { readonly error: Error | undefined } | undefined;

  constructor(channel: ByteChannel, onDecided: OnDecided) {
    this.#channel = channel;
    this.neverKeeps = channel.neverKeeps;
    this.#onDecided = onDecided;
  }

  start(): void {
    this.#channel.read(this);
  }

  decide(protocol: SniffedProtocol | undefined, error?: Error): void {
    const onDecided = this.#onDecided;
    if (!onDecided) return;
    this.#onDecided = undefined;
    // Until somebody reads.
    this.#channel.pause();
    onDecided(protocol, error);
  }

  // --- as the channel that others use

  read(reader: ChannelReader): void {
    if (this.#reader) throw new Error('A channel has one reader');
    this.#reader = reader;
    this.#deliverSoon();
  }

  write(bytes: Uint8Array): WriteResult {
    return this.#channel.write(bytes);
  }

  pause(): void {
    this.#paused = true;
    this.#channel.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.#reader) return;
    if (this.#owes()) this.#deliverSoon();
    else this.#channel.resume();
  }

  credit(byteCount: number): void {
    this.#channel.credit(byteCount);
  }

  end(): void {
    this.#channel.end();
  }

  reset(error?: Error): void {
    this.#channel.reset(error);
  }

  /** Gives the reader what it is owed, in order, then lets the rest come by itself. */
  onTurnEnd(): void {
    this.#delivering = false;
    const reader = this.#reader;
    if (!reader) return;
    if (!this.#closed?.error) {
      if (this.#paused) return;
      const held = this.#held;
      this.#held = Buffer.alloc(0);
      if (held.length > 0) reader.onData(held);
      if (this.#paused) return;
      if (this.#endOwed) {
        this.#endOwed = false;
        reader.onEnd();
      }
    }
    if (this.#closed) reader.onClose(this.#closed.error);
    else if (!this.#paused) this.#channel.resume();
  }

  #deliverSoon(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    atTurnEnd(this);
  }

  /** Whether something is to be delivered before what comes now. */
  #owes(): boolean {
    return this.#held.length > 0 || this.#endOwed || this.#delivering || this.#closed !== undefined;
  }

  // --- as the reader of the channel below

  onData(bytes: Uint8Array): boolean {
    const reader = this.#reader;
    if (reader && !this.#owes()) {
      // The memory is shared with other channels: who keeps it gets its own.
      reader.onData(reader.neverKeeps === true ? bytes : Uint8Array.prototype.slice.call(bytes));
      return false;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    if (!this.#onDecided) return false;
    const found = sniffProtocol(this.#held);
    if (found !== 'need-more') this.decide(found);
    return false;
  }

  onEnd(): void {
    if (this.#reader && !this.#owes()) return this.#reader.onEnd();
    this.#endOwed = true;
    this.decide(this.#held.length > 0 ? { kind: 'other' } : undefined);
  }

  onDrain(): void {
    this.#reader?.onDrain();
  }

  onClose(error?: Error): void {
    if (this.#reader && !this.#owes()) return this.#reader.onClose(error);
    this.#closed = { error };
    this.decide(this.#held.length > 0 && !error ? { kind: 'other' } : undefined, error);
    if (this.#reader) this.#deliverSoon();
  }
}
