/** A byte channel over a connected TCP (or unix stream) socket. */
import type { Socket } from 'node:net';
import { AmbitError } from '../lib/errors.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from './channel.ts';
import { countRead, PrivateReadBuffer, readNumber, sharedReadBuffer, type ReadStep } from './read-buffers.ts';
import { descriptorOf, readWith } from './socket-handle.ts';
import { resetOnClose } from './socket-options.ts';
import { returnStaging, stagingBytes, takeStaging } from './staging.ts';
import { SystemCallError, send } from './sys.ts';
import { atTurnEnd, type TurnEnd } from './turn.ts';

/** Writes from this size on wait for the end of the turn, because bulk data comes in several pieces a turn. */
const gatherFromBytes = 4096;

/**
 * More messages than this of one read wait for the end of the turn, too. A tunnel of frames of one byte would else cost a system
 * call for each, thousands a read (the loop was away for 800 ms).
 */
const messagesARead = 8;

/**
 * Takes over `socket`: connected, nothing read from it, paused (`pauseOnConnect`, or as `dial` returns it). The caller no
 * longer touches it.
 */
export function tcpChannel(socket: Socket): ByteChannel {
  return new TcpChannel(socket);
}

class TcpChannel implements ByteChannel, TurnEnd {
  readonly neverKeeps: boolean = true;
  #socket: Socket;
  #fd: number | undefined;
  #reader: ChannelReader | undefined;
  #private: PrivateReadBuffer | undefined;
  #readStep: ReadStep = 0;
  /** What was written in this turn and waits for its end. */
  #staging: Uint8Array | undefined;
  #stagedBytes = 0;
  #dueAtTurnEnd = false;
  /** The read that the last message came of, and how many it has brought. */
  #lastRead = 0;
  #messages = 0;
  /** Bytes that the kernel did not take and Node holds as copies. */
  #pendingBytes = 0;
  #drainOwed = false;
  #paused = false;
  #ended = false;
  #peerEnded = false;
  #closed = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    const adopted = readWith(socket, {
      buffer: () => this.#private?.current() ?? sharedReadBuffer(this.#readStep),
      callback: (byteCount, buffer) => this.#received(byteCount, buffer),
    });
    this.#socket = adopted ?? socket;
    this.#fd = descriptorOf(this.#socket);
    if (!adopted) {
      socket.setNoDelay(true);
      socket.on('data', (chunk: Buffer) => void this.#reader?.onData(chunk));
      socket.pause();
    }
    this.#socket.on('end', () => {
      this.#peerEnded = true;
      this.#reader?.onEnd();
    });
    this.#socket.on('error', (error) => (this.#error ??= error));
    this.#socket.on('close', () => this.#onClose());
    if (this.#socket.destroyed) setImmediate(() => this.#onClose());
  }

  read(reader: ChannelReader): void {
    if (this.#reader) throw new Error('A channel has one reader');
    this.#reader = reader;
    if (reader.neverKeeps !== true) this.#private = new PrivateReadBuffer();
    if (this.#closed) return void setImmediate(() => reader.onClose(this.#error));
    if (this.#drainOwed && this.#pendingBytes === 0) setImmediate(() => this.#drained());
    if (!this.#paused) this.#socket.resume();
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.#ended || this.#closed || bytes.length === 0) return writeResult.done;
    if (this.#pendingBytes > 0 || this.#fd === undefined) return this.#hold(bytes);
    // One system call for the pieces of a turn (-29 % CPU on bulk flows); a message on its own goes at once.
    const { length } = bytes;
    if ((this.#stagedBytes > 0 || length >= gatherFromBytes || this.#isOneOfMany()) && length <= stagingBytes) {
      if (this.#stagedBytes + length > stagingBytes && this.#flush() === writeResult.full) return this.#hold(bytes);
      this.#stage(bytes);
      return writeResult.done;
    }
    if (this.#stagedBytes > 0 && this.#flush() === writeResult.full) return this.#hold(bytes);
    return this.#send(bytes);
  }

  onTurnEnd(): void {
    this.#dueAtTurnEnd = false;
    // The writes were answered `done`: nobody waits to hear of a drain.
    const owed = this.#drainOwed;
    this.#flush();
    this.#drainOwed = owed;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#reader && !this.#closed) this.#socket.resume();
  }

  credit(): void {}

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#flush();
    this.#ended = true;
    // Nothing more comes in, and all is with the kernel: closing says FIN too, for one system call and a request of Node's less.
    if (this.#peerEnded && this.#pendingBytes === 0) this.#socket.destroy();
    else this.#socket.end();
  }

  reset(error?: Error): void {
    if (this.#closed || this.#socket.destroyed) return;
    this.#error ??= error ?? new AmbitError('Connection was reset here', { code: 'net.reset', blame: 'internal' });
    this.#ended = true;
    if (this.#fd !== undefined) resetOnClose(this.#fd);
    this.#fd = undefined;
    this.#socket.destroy();
  }

  #isOneOfMany(): boolean {
    const read = readNumber();
    if (this.#lastRead !== read) {
      this.#lastRead = read;
      this.#messages = 0;
    }
    return ++this.#messages > messagesARead;
  }

  #received(byteCount: number, buffer: Uint8Array): boolean {
    countRead();
    const kept = this.#reader?.onData(buffer.subarray(0, byteCount)) ?? false;
    if (byteCount === buffer.length && this.#readStep < 2) this.#readStep++;
    if (this.#private) this.#private.used(byteCount, kept);
    else if (kept) throw new Error('A reader that never keeps memory kept it');
    return !this.#paused;
  }

  #stage(bytes: Uint8Array): void {
    this.#staging ??= takeStaging();
    this.#staging.set(bytes, this.#stagedBytes);
    this.#stagedBytes += bytes.length;
    if (this.#dueAtTurnEnd) return;
    this.#dueAtTurnEnd = true;
    atTurnEnd(this);
  }

  #flush(): WriteResult {
    const staging = this.#staging;
    if (!staging) return writeResult.done;
    const result = this.#closed || this.#ended ? writeResult.done : this.#send(staging.subarray(0, this.#stagedBytes));
    this.#staging = undefined;
    this.#stagedBytes = 0;
    returnStaging(staging);
    return result;
  }

  /** Straight to the kernel: cheaper than Socket.write, and what is not taken is ours to copy, so memory never stays lent. */
  #send(bytes: Uint8Array): WriteResult {
    // A socket that failed closes its descriptor at once and says so turns later: by then the number may be another
    // connection's, which must never get these bytes.
    if (this.#fd === undefined || this.#socket.destroyed) return writeResult.done;
    const sent = send(this.#fd, bytes);
    if (sent === bytes.length) return writeResult.done;
    if (sent >= 0) return this.#hold(bytes.subarray(sent));
    this.#fail(new SystemCallError('write', -sent));
    return writeResult.done;
  }

  #hold(bytes: Uint8Array): WriteResult {
    const copy = Buffer.from(bytes);
    this.#pendingBytes += copy.length;
    this.#drainOwed = true;
    this.#socket.write(copy, (error) => {
      if (error) return;
      this.#pendingBytes -= copy.length;
      if (this.#pendingBytes === 0) this.#drained();
    });
    return writeResult.full;
  }

  #drained(): void {
    if (!this.#reader || this.#closed || !this.#drainOwed || this.#pendingBytes > 0) return;
    this.#drainOwed = false;
    this.#reader.onDrain();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#fd = undefined;
    this.#socket.destroy();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fd = undefined;
    if (this.#error === undefined && !(this.#peerEnded && this.#ended)) {
      this.#error = new AmbitError('Connection was closed early', { code: 'net.closed', blame: 'internal' });
    }
    const reader = this.#reader;
    // Node allocates a function of every socket in the old generation, so that the socket stays until a full collection: whoever was
    // joined to it must not (4 KB a connection, and their copies by the collector).
    this.#reader = undefined;
    this.#private = undefined;
    reader?.onClose(this.#error);
  }
}
