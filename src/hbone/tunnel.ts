/** Tunnel: the byte channel over the stream of a CONNECT. END_STREAM is the half-close, RST_STREAM the reset. */
import { AmbitError } from '../lib/errors.ts';
import type { ByteChannel, ChannelReader, WriteResult } from '../net/channel.ts';
import { writeResult } from '../net/channel.ts';
import {
  ByteQueue,
  deferToTurnEnd,
  errorCode,
  Http2Error,
  type Http2Stream,
  type StreamHandler,
  type TurnTask,
} from '../http/h2/index.ts';
import { HeaderList } from '../http/header-list.ts';
import { tunnelReset } from './errors.ts';

const noHeaders = new HeaderList();

/**
 * Both ends of a tunnel. While nobody reads, or the reader paused, up to a stream's window is held here as copies; the peer gets
 * window back only for what the reader credits.
 */
export class Tunnel implements ByteChannel, StreamHandler, TurnTask {
  readonly neverKeeps: boolean = true;
  readonly #stream: Http2Stream;
  /** The head of the 200 (client); empty on the server. */
  readonly responseHeaders: HeaderList;
  #reader: ChannelReader | undefined;
  #paused = false;
  /** What arrived and could not be delivered yet. */
  #held: ByteQueue | undefined;
  #deferred = false;
  #endReceived = false;
  #endDelivered = false;
  #drainMissed = false;
  #over: { error: Error | undefined } | undefined;
  #closeDelivered = false;
  #wasReset = false;
  /** The tunnel ended before anybody read it: what its owner waits for will not come. */
  onUnreadClose: ((error: Error | undefined) => void) | undefined;

  constructor(stream: Http2Stream, responseHeaders: HeaderList = noHeaders) {
    this.#stream = stream;
    this.responseHeaders = responseHeaders;
  }

  // The byte channel.

  read(reader: ChannelReader): void {
    if (this.#reader) throw new Error('A channel has one reader');
    this.#reader = reader;
    this.onUnreadClose = undefined;
    if (this.#held || this.#endReceived || this.#over || this.#drainMissed) this.#deliverLater();
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.#over || bytes.length === 0) return writeResult.done;
    return this.#stream.sendData(bytes);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#held || (this.#endReceived && !this.#endDelivered)) this.#deliverLater();
  }

  credit(byteCount: number): void {
    this.#stream.credit(byteCount);
  }

  end(): void {
    this.#stream.end();
  }

  /**
   * Tells the peer CONNECT_ERROR (RFC 9113 section 8.5: "a proxy treats any error in the TCP connection as a stream error of type
   * CONNECT_ERROR"), so that it can reset its own side instead of taking the cut for an end.
   */
  reset(error?: Error): void {
    if (this.#closeDelivered || this.#wasReset) return;
    this.#wasReset = true;
    const reason = error ?? new AmbitError('Connection was reset here', { code: 'net.reset', blame: 'internal' });
    if (!this.#stream.closed) this.#stream.reset(errorCode.connectError, reason);
    else if (this.#reader) this.#close(reason);
  }

  // The stream's handler.

  onHeaders(): void {}

  onData(bytes: Uint8Array): void {
    const reader = this.#reader;
    if (reader && !this.#paused && this.#held === undefined) {
      // The session lends memory that others read into next: who may keep it gets a copy.
      reader.onData(reader.neverKeeps === true ? bytes : Uint8Array.prototype.slice.call(bytes));
    } else (this.#held ??= new ByteQueue()).append(bytes);
  }

  onEnd(): void {
    this.#endReceived = true;
    if (this.#reader && this.#held === undefined) this.#deliverEnd();
  }

  onDrain(): void {
    if (this.#reader) this.#reader.onDrain();
    else this.#drainMissed = true;
  }

  onClose(error?: Error): void {
    if (error instanceof Http2Error && error.remote && isQuietEnd(error)) {
      // Upstream's ztunnel drops a stream with CANCEL: read as the end (ambient-l4 section 3.7).
      this.#endReceived = true;
      this.#over = { error: undefined };
      this.#deliverLater();
      if (!this.#reader) this.onUnreadClose?.(error);
      return;
    }
    this.#close(error instanceof Http2Error ? tunnelReset(error) : error);
  }

  /** Delivers what is held, at the end of a turn. */
  runTurn(): void {
    this.#deferred = false;
    const reader = this.#reader;
    if (!reader || this.#closeDelivered) return;
    if (this.#drainMissed) {
      this.#drainMissed = false;
      if (!this.#over) reader.onDrain();
    }
    const held = this.#held;
    while (held && held.length > 0 && !this.#paused) {
      const piece = held.peek();
      held.consume(piece.length);
      reader.onData(piece);
    }
    if (held && held.length === 0) this.#held = undefined;
    if (this.#held) return;
    if (this.#endReceived) this.#deliverEnd();
    if (this.#over && !this.#closeDelivered) {
      this.#closeDelivered = true;
      reader.onClose(this.#over.error);
    }
  }

  #close(error: Error | undefined): void {
    if (this.#over?.error || (this.#over && !error)) return;
    this.#over = { error };
    if (!this.#reader) this.onUnreadClose?.(error);
    // After an error nothing more is delivered; after an orderly end, all of it.
    if (error) {
      this.#held = undefined;
      this.#endReceived = false;
    }
    this.#deliverLater();
  }

  #deliverEnd(): void {
    if (this.#endDelivered) return;
    this.#endDelivered = true;
    this.#reader?.onEnd();
  }

  #deliverLater(): void {
    if (this.#deferred) return;
    this.#deferred = true;
    deferToTurnEnd(this);
  }
}

function isQuietEnd(error: Http2Error): boolean {
  return error.scope === 'stream' && (error.wireCode === errorCode.cancel || error.wireCode === errorCode.noError);
}
