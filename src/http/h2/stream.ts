/** One HTTP/2 stream: the send side with its window and its rest, the receive side with its window, and the life of both. */
import { type WriteResult, writeResult } from '../../net/channel.ts';
import { countUnsent } from '../../net/read-buffers.ts';
import type { HeaderList } from '../header-list.ts';
import { ByteQueue } from './byte-queue.ts';
import { errorCode, frameFlag, frameType, largestWindowSize } from './constants.ts';
import { Http2Error } from './errors.ts';
import { type ConnectionReceiveWindow, StreamReceiveWindow } from './flow-control.ts';
import type { Outbox, SendWaiter } from './outbox.ts';
import { deferToTurnEnd, type TurnTask } from './turn-queue.ts';

/** The one consumer of a stream. Callbacks never throw. */
export interface StreamHandler {
  /** A response head, final or informational (1xx). Only on client streams. */
  onHeaders(headers: HeaderList, endStream: boolean): void;
  /** Body bytes, lent until the return. `Http2Stream.credit` once they have left. */
  onData(bytes: Uint8Array): void;
  /** The peer's half is over, in order. */
  onEnd(trailers?: HeaderList): void;
  /** After a `sendData` that was `full`: send again. */
  onDrain(): void;
  /** Our half is over, all of it staged, and the peer's is not. May come from inside of a call on the stream. */
  onSent?(): void;
  /** Both halves are over. Exactly once, last, never from inside a call on the stream. No error after an orderly end. */
  onClose(error?: Error): void;
}

/** What a stream needs of its session. */
export interface StreamHost {
  readonly outbox: Outbox;
  readonly receiveWindow: ConnectionReceiveWindow;
  /** Largest DATA payload to send. */
  readonly sendFrameSize: number;
  writeHeaders(streamId: number, headers: HeaderList, endStream: boolean): void;
  writeReset(streamId: number, wireCode: number): void;
  /** The first head of ours went out on a stream. */
  onAnswered(): void;
  /** The stream left the session. */
  onStreamClosed(stream: Http2Stream): void;
}

export interface StreamOptions {
  readonly host: StreamHost;
  readonly id: number;
  readonly sendWindow: number;
  readonly handler: StreamHandler;
}

/**
 * WINDOW_UPDATEs that a frame of DATA may bring, for stream and connection: most peers send two at half a window, some credit
 * what a frame has in several pieces.
 */
const updatesAFrame = 20;
/** More than these no peer saves up, and the count stays a small integer. */
const mostUpdates = 1_000_000;

export class Http2Stream implements SendWaiter, TurnTask {
  readonly id: number;
  readonly #host: StreamHost;
  #handler: StreamHandler;
  #sendWindow: number;
  /** Copies of what could not be framed yet. */
  #rest: ByteQueue | undefined;
  /** In line at the outbox. */
  #waiting = false;
  /** The writer was told `full`. */
  #drainOwed = false;
  /** END_STREAM is to follow the rest; with trailers when there are any. */
  #endPending = false;
  #trailers: HeaderList | undefined;
  #sendEnded = false;
  #receiveEnded = false;
  readonly #receiveWindow: StreamReceiveWindow;
  /** Announced body bytes still to come; undefined when nothing was announced. */
  #contentLeft: number | undefined;
  #closed = false;
  #closeError: Error | undefined;
  /** The head of the peer's message (final response or request) was seen: the next HEADERS are trailers. */
  headSeen = false;
  /** We sent a final head: a reset from now on is no "rapid reset". */
  answered = false;

  constructor(options: StreamOptions) {
    this.#host = options.host;
    this.id = options.id;
    this.#sendWindow = options.sendWindow;
    this.#handler = options.handler;
    this.#receiveWindow = new StreamReceiveWindow(options.host.receiveWindow);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Closed before both halves had ended in order. */
  get closedByReset(): boolean {
    return this.#closed && !(this.#sendEnded && this.#receiveEnded);
  }

  get receiveEnded(): boolean {
    return this.#receiveEnded;
  }

  get sendEnded(): boolean {
    return this.#sendEnded || this.#endPending;
  }

  /** Replaces the consumer: a server takes the request before it knows who reads the body. */
  setHandler(handler: StreamHandler): void {
    this.#handler = handler;
  }

  sendHeaders(headers: HeaderList, endStream = false): void {
    if (this.#closed || this.sendEnded) return;
    if (!this.answered) this.#host.onAnswered();
    this.answered = true;
    this.#host.writeHeaders(this.id, headers, endStream);
    if (endStream) this.#endSending();
  }

  /** Server: a 1xx head. */
  sendInformational(headers: HeaderList): void {
    if (!this.#closed && !this.sendEnded) this.#host.writeHeaders(this.id, headers, false);
  }

  /** Frames what the windows allow and copies the rest: `done` or `full`, never `kept`. */
  sendData(bytes: Uint8Array): WriteResult {
    if (this.#closed || this.sendEnded) return writeResult.done;
    const { outbox } = this.#host;
    if (this.#rest !== undefined && this.#rest.length > 0) {
      this.#rest.append(bytes);
      countUnsent(bytes.length);
      this.#drainOwed = true;
      return writeResult.full;
    }
    const sent = outbox.isOverflowing ? 0 : this.#frame(bytes);
    if (sent < bytes.length) {
      (this.#rest ??= new ByteQueue(true)).append(sent === 0 ? bytes : bytes.subarray(sent));
      countUnsent(bytes.length - sent);
      this.#waitForRoom();
    } else if (outbox.isFull) this.#waitForRoom();
    else return writeResult.done;
    this.#drainOwed = true;
    return writeResult.full;
  }

  /** Ends our half behind what was sent. */
  end(trailers?: HeaderList): void {
    if (this.#closed || this.sendEnded) return;
    this.#trailers = trailers;
    this.#endPending = true;
    if (this.#rest === undefined || this.#rest.length === 0) this.#sendEnd();
  }

  /** Ends both halves at once with RST_STREAM. `onClose(error)` follows. */
  reset(wireCode: number = errorCode.cancel, error?: Error): void {
    if (this.#closed) return;
    this.#host.writeReset(this.id, wireCode);
    this.fail(error);
  }

  /** So many bytes of `onData` have left the reader. */
  credit(byteCount: number): void {
    if (this.#closed) return;
    const increment = this.#receiveWindow.credit(byteCount);
    if (increment > 0 && !this.#receiveEnded) {
      this.#host.outbox.frameOfUint32(frameType.windowUpdate, this.id, increment);
    }
  }

  /** Of the body that the peer's head announced: bytes still to come; undefined: it announced none. */
  get contentLeft(): number | undefined {
    return this.#contentLeft;
  }

  /** The body length that the peer's head announced: what comes is held against it. */
  expectContent(byteCount: number | undefined): void {
    this.#contentLeft = byteCount;
  }

  // From here on: called by the session alone.

  /** Closes without a word to the peer. */
  fail(error?: Error): void {
    if (this.#closed) return;
    this.#closeError = error;
    this.#close();
  }

  /** Counts a DATA frame against the window; the problem, if it has one. */
  receiveFrame(length: number): Http2Error | undefined {
    if (this.#receiveWindow.receive(length)) return undefined;
    return streamError(errorCode.flowControlError, `Peer overran the window of stream ${this.id}`);
  }

  receiveData(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#contentLeft !== undefined) {
      this.#contentLeft -= bytes.length;
      if (this.#contentLeft < 0) {
        this.#refuse(streamError(errorCode.protocolError, 'Peer sent more body than content-length says'));
        return;
      }
    }
    this.#handler.onData(bytes);
  }

  receiveHeaders(headers: HeaderList, endStream: boolean): void {
    this.#handler.onHeaders(headers, endStream);
  }

  receiveEnd(trailers?: HeaderList): void {
    if (this.#closed || this.#receiveEnded) return;
    if (this.#contentLeft !== undefined && this.#contentLeft > 0) {
      this.#refuse(streamError(errorCode.protocolError, 'Peer sent less body than content-length says'));
      return;
    }
    this.#receiveEnded = true;
    this.#handler.onEnd(trailers);
    this.#closeIfOver();
  }

  /** WINDOW_UPDATE, or a change of SETTINGS_INITIAL_WINDOW_SIZE; false when the window overflows. */
  changeSendWindow(change: number): boolean {
    this.#sendWindow += change;
    if (this.#sendWindow > largestWindowSize) return false;
    if (change > 0 && !this.#waiting) this.resumeSending();
    return true;
  }

  resumeSending(): void {
    this.#waiting = false;
    if (this.#closed) return;
    const rest = this.#rest;
    while (rest !== undefined && rest.length > 0) {
      const piece = rest.peek();
      const sent = this.#host.outbox.isFull ? 0 : this.#frame(piece);
      rest.consume(sent);
      countUnsent(-sent);
      if (sent < piece.length) {
        this.#waitForRoom();
        return;
      }
    }
    this.#rest = undefined;
    if (this.#endPending && !this.#sendEnded) this.#sendEnd();
    else if (this.#drainOwed && !this.sendEnded) {
      if (this.#host.outbox.isFull) {
        this.#waitForRoom();
        return;
      }
      this.#drainOwed = false;
      this.#handler.onDrain();
    }
  }

  /** Tells the handler of the close, at the end of the turn. */
  runTurn(): void {
    this.#handler.onClose(this.#closeError);
  }

  /** Frames as much of `bytes` as both windows allow; returns how much. */
  #frame(bytes: Uint8Array): number {
    const { outbox, sendFrameSize } = this.#host;
    let at = 0;
    while (at < bytes.length) {
      const take = Math.min(bytes.length - at, this.#sendWindow, outbox.connectionWindow, sendFrameSize);
      if (take <= 0) break;
      outbox.frameOf(frameType.data, 0, this.id, bytes, at, at + take);
      this.#sendWindow -= take;
      outbox.connectionWindow -= take;
      outbox.expectedUpdates = Math.min(outbox.expectedUpdates + updatesAFrame + (take >>> 10), mostUpdates);
      at += take;
    }
    return at;
  }

  /** Gets in line for what is missing. Without stream window there is no line: WINDOW_UPDATE resumes. */
  #waitForRoom(): void {
    if (this.#waiting) return;
    const { outbox } = this.#host;
    if (outbox.isFull) outbox.waitForFlush(this);
    else if (this.#sendWindow <= 0) return;
    else outbox.waitForWindow(this);
    this.#waiting = true;
  }

  #sendEnd(): void {
    if (this.#trailers) this.#host.writeHeaders(this.id, this.#trailers, true);
    else this.#host.outbox.frame(frameType.data, frameFlag.endStream, this.id, 0);
    this.#endSending();
  }

  #endSending(): void {
    this.#sendEnded = true;
    if (this.#receiveEnded) this.#closeIfOver();
    else this.#handler.onSent?.();
  }

  #closeIfOver(): void {
    if (this.#sendEnded && this.#receiveEnded && !this.#closed) this.#close();
  }

  #close(): void {
    this.#closed = true;
    if (this.#waiting) this.#host.outbox.forget(this);
    if (this.#rest) {
      countUnsent(-this.#rest.length);
      this.#rest.clear();
    }
    this.#rest = undefined;
    this.#trailers = undefined;
    this.#receiveWindow.dispose();
    this.#host.onStreamClosed(this);
    deferToTurnEnd(this);
  }

  #refuse(error: Http2Error): void {
    this.reset(error.wireCode, error);
  }
}

export function streamError(wireCode: number, message: string): Http2Error {
  return new Http2Error(message, { wireCode, scope: 'stream', blame: 'downstream' });
}
