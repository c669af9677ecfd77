/** A byte channel over an established TLS connection, either role. */
import type { TLSSocket } from 'node:tls';
import { AmbitError } from '../lib/errors.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from './channel.ts';
import { countRead, sharedReadBuffer } from './read-buffers.ts';
import { descriptorOf, readIntoMemory } from './socket-handle.ts';
import { resetOnClose } from './socket-options.ts';

/** Copies that wait for the write in flight; beyond, the channel is full. */
const maxQueuedBytes = 64 * 1024;

/** A larger write answers `full`: its sender gathers the rest meanwhile, which saves the copy that a write in flight costs. */
const gatedBytes = 64 * 1024;

/** Takes over `socket`: handshake done, nothing read from it yet. The caller no longer touches it. */
export function tlsChannel(socket: TLSSocket): ByteChannel {
  return new TlsChannel(socket);
}

class TlsChannel implements ByteChannel {
  readonly neverKeeps: boolean = true;
  readonly #socket: TLSSocket;
  #reader: ChannelReader | undefined;
  /** One write at a time is with the socket: it encrypts at once, so its memory is free again when `write` returns. */
  #writing = false;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #drainOwed = false;
  #ended = false;
  #peerEnded = false;
  #closed = false;
  #error: Error | undefined;
  #paused = false;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.pause();
    socket.on('end', () => {
      this.#peerEnded = true;
      this.#reader?.onEnd();
    });
    socket.on('error', (error) => (this.#error ??= error));
    socket.on('close', () => this.#onClose());
    if (socket.destroyed) setImmediate(() => this.#onClose());
  }

  read(reader: ChannelReader): void {
    if (this.#reader) throw new Error('A channel has one reader');
    this.#reader = reader;
    if (this.#closed) return void setImmediate(() => reader.onClose(this.#error));
    if (this.#drainOwed && !this.#writing) setImmediate(() => this.#drained());
    const shared =
      reader.neverKeeps === true &&
      readIntoMemory(this.#socket, sharedReadBuffer(), (byteCount, memory) => {
        countRead();
        reader.onData(memory.subarray(0, byteCount));
        return !this.#paused;
      });
    // Otherwise Node allocates each chunk afresh, so the reader may keep it.
    if (!shared) this.#socket.on('data', (chunk: Buffer) => void reader.onData(chunk));
    if (this.#paused) this.#socket.pause();
    else this.#socket.resume();
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.#ended || this.#closed || bytes.length === 0) return writeResult.done;
    if (this.#writing) {
      this.#queue.push(Buffer.from(bytes));
      this.#queuedBytes += bytes.length;
      if (this.#queuedBytes < maxQueuedBytes) return writeResult.done;
      this.#drainOwed = true;
      return writeResult.full;
    }
    this.#send(bytes);
    if (bytes.length < gatedBytes || !this.#writing) return writeResult.done;
    this.#drainOwed = true;
    return writeResult.full;
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
    if (!this.#writing) this.#socket.end();
  }

  reset(error?: Error): void {
    if (this.#closed || this.#socket.destroyed) return;
    this.#error ??= error ?? new AmbitError('Connection was reset here', { code: 'net.reset', blame: 'internal' });
    this.#ended = true;
    const fd = descriptorOf(this.#socket);
    // Without RST the peer could take the cut for an orderly end: Node does not report a missing close_notify.
    if (fd !== undefined) resetOnClose(fd);
    this.#socket.destroy();
  }

  #send(bytes: Uint8Array): void {
    this.#writing = true;
    this.#socket.write(bytes, this.#written);
  }

  readonly #written = (error?: Error | null): void => {
    this.#writing = false;
    if (error || this.#closed) return;
    if (this.#queuedBytes > 0) {
      const rest =
        this.#queue.length === 1 ? (this.#queue[0] as Uint8Array) : Buffer.concat(this.#queue, this.#queuedBytes);
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#send(rest);
    } else if (this.#ended) {
      this.#socket.end();
      return;
    }
    this.#drained();
  };

  #drained(): void {
    if (!this.#reader || this.#closed || !this.#drainOwed) return;
    this.#drainOwed = false;
    this.#reader.onDrain();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#error === undefined && !(this.#peerEnded && this.#ended)) {
      this.#error = new AmbitError('Connection was closed early', { code: 'net.closed', blame: 'internal' });
    }
    this.#reader?.onClose(this.#error);
  }
}
