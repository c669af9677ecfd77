/** A byte channel over a connected TCP (or unix stream) socket. */
import type { Socket } from 'node:net';
import { AmbitError } from '../lib/errors.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from './channel.ts';
import { PrivateReadBuffer, sharedReadBuffer } from './read-buffers.ts';
import { adoptSocket, descriptorOf } from './socket-handle.ts';
import { resetOnClose } from './socket-options.ts';
import { SystemCallError, send } from './sys.ts';

/**
 * Takes over `socket`: connected, nothing read from it, paused (`pauseOnConnect`, or as `dial` returns it). The caller no
 * longer touches it.
 */
export function tcpChannel(socket: Socket): ByteChannel {
  return new TcpChannel(socket);
}

class TcpChannel implements ByteChannel {
  readonly neverKeeps: boolean = true;
  #socket: Socket;
  #fd: number | undefined;
  #reader: ChannelReader | undefined;
  #private: PrivateReadBuffer | undefined;
  /** Bytes that the kernel did not take and Node holds as copies. */
  #pendingBytes = 0;
  #drainOwed = false;
  #paused = false;
  #ended = false;
  #peerEnded = false;
  #closed = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    const adopted = adoptSocket(socket, {
      buffer: () => this.#private?.current() ?? sharedReadBuffer(),
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
    if (this.#pendingBytes > 0) return this.#hold(bytes);
    if (this.#fd === undefined) return this.#hold(bytes);
    // Straight to the kernel: half the cost of Socket.write, and what is not taken is ours to copy, so memory never stays lent.
    const sent = send(this.#fd, bytes);
    if (sent === bytes.length) return writeResult.done;
    if (sent < 0) {
      this.#fail(new SystemCallError('write', -sent));
      return writeResult.done;
    }
    return this.#hold(bytes.subarray(sent));
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
    this.#ended = true;
    this.#socket.end();
  }

  reset(error?: Error): void {
    if (this.#closed || this.#socket.destroyed) return;
    this.#error ??= error ?? new AmbitError('Connection was reset here', { code: 'net.reset', blame: 'internal' });
    this.#ended = true;
    if (this.#fd !== undefined) resetOnClose(this.#fd);
    this.#fd = undefined;
    this.#socket.destroy();
  }

  #received(byteCount: number, buffer: Uint8Array): boolean {
    const kept = this.#reader?.onData(buffer.subarray(0, byteCount)) ?? false;
    if (this.#private) this.#private.used(byteCount, kept);
    else if (kept) throw new Error('A reader that never keeps memory kept it');
    return !this.#paused;
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
    this.#reader?.onClose(this.#error);
  }
}
