/**
 * The client's end of one forwarded connection over SPDY/3.1 (Kubernetes, portforward.k8s.io): an error and a data stream, alone on
 * their transport. Each direction of the data ends by itself, as those of TCP do.
 */
import { Duplex } from 'node:stream';
import { messageOf } from '../../lib/errors.ts';
import { controlFrame, dataHead, flagFin, frameBytes, FrameReader, frameType, words } from './frames.ts';
import { HeaderReader, HeaderWriter, spdyError } from './headers.ts';

export interface ForwardedStreamOptions {
  /** Ended with the stream. */
  readonly transport: Duplex;
  /** Of the pod. */
  readonly port: number;
  /** What the stream is destroyed with when the pod's side cannot go on. */
  readonly failure: (detail: string) => Error;
}

const errorStream = 1;
const dataStream = 3;
const maxErrorBytes = 4096;
/** Answers to pings that the server does not take. */
const maxUnsentBytes = 64 * 1024;

/** What is written waits until the pod took the stream. The caller destroys it. */
export function openForwardedStream(options: ForwardedStreamOptions): Duplex {
  return new ForwardedStream(options);
}

class ForwardedStream extends Duplex {
  readonly #options: ForwardedStreamOptions;
  readonly #headerReader = new HeaderReader();
  /** The data stream was taken: what comes before that is dropped there. */
  #isTaken = false;
  #waiting: (() => void) | undefined;
  #peerEnded = false;
  #error = '';
  #unsentBytes = 0;

  constructor(options: ForwardedStreamOptions) {
    super({ allowHalfOpen: true });
    this.#options = options;
    const { transport, port } = options;
    const reader = new FrameReader({
      data: (streamId, bytes, isLast) => this.#onData(streamId, bytes, isLast),
      control: (type, _flags, payload) => this.#onControl(type, payload),
    });
    transport.on('data', (chunk: Buffer) => {
      if (this.destroyed) return;
      try {
        reader.read(chunk);
      } catch (error) {
        this.#fail(messageOf(error));
      }
    });
    transport.on('end', () => this.#onTransportEnd('the connection ended'));
    transport.on('close', () => this.#onTransportEnd('the connection ended'));
    transport.on('error', (error) => this.#onTransportEnd(messageOf(error)));
    const headers = new HeaderWriter();
    for (const [streamId, type] of [
      [errorStream, 'error'],
      [dataStream, 'data'],
    ] as const) {
      const block = headers.write(
        new Map([
          ['streamtype', type],
          ['port', String(port)],
          ['requestid', '0'],
        ]),
      );
      // No priority, no slot.
      transport.write(controlFrame(frameType.synStream, 0, words(streamId, 0), Buffer.alloc(2), block));
    }
  }

  override _read(): void {
    this.#options.transport.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#onceTaken(() => {
      const { transport } = this.#options;
      transport.cork();
      for (let at = 0; at < chunk.length; at += frameBytes) {
        const part = chunk.subarray(at, at + frameBytes);
        transport.write(dataHead(dataStream, part.length, 0));
        if (at + frameBytes >= chunk.length) transport.write(part, done);
        else transport.write(part);
      }
      transport.uncork();
      if (chunk.length === 0) done();
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#onceTaken(() => this.#options.transport.write(dataHead(dataStream, 0, flagFin), done));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#waiting = undefined;
    this.#options.transport.destroy();
    done(error);
  }

  /** There is one write at a time, or the end. */
  #onceTaken(send: () => void): void {
    if (this.#isTaken) send();
    else this.#waiting = send;
  }

  #onData(streamId: number, bytes: Buffer, isLast: boolean): void {
    if (streamId === errorStream) {
      if (this.#error.length < maxErrorBytes) this.#error += bytes.toString();
      if (isLast && this.#error !== '') this.#fail(this.#error);
    }
    if (streamId !== dataStream || this.#peerEnded || this.destroyed) return;
    // The chunk belongs to the transport's read.
    if (bytes.length > 0 && !this.push(Buffer.from(bytes))) this.#options.transport.pause();
    if (!isLast) return;
    // Why it failed is told before the end.
    if (this.#error !== '') return this.#fail(this.#error);
    this.#peerEnded = true;
    this.push(null);
    // Nobody asks for more, and what is no data still comes: pings, and why it failed.
    this.#options.transport.resume();
  }

  #onControl(type: number, payload: Buffer): void {
    const { transport } = this.#options;
    if (type === frameType.goAway || type === frameType.settings || type === frameType.windowUpdate) return;
    if (payload.length < 4) throw spdyError('a control frame ends too early');
    const id = payload.readUInt32BE(0);
    switch (type) {
      case frameType.synReply:
        this.#headerReader.read(payload.subarray(4));
        // Nothing is to be told there from here.
        if (id === errorStream) transport.write(dataHead(errorStream, 0, flagFin));
        if (id === dataStream) this.#onTaken();
        return;
      case frameType.headers:
        // Not for us, but what follows is compressed against it.
        this.#headerReader.read(payload.subarray(4));
        return;
      case frameType.rstStream:
        if (id === dataStream && !this.#peerEnded) this.#fail('the stream was reset');
        return;
      case frameType.ping:
        // Odd ones would answer pings of ours.
        if (id % 2 === 0) this.#answerPing(id);
        return;
      default:
        throw spdyError('the server opened a stream');
    }
  }

  #answerPing(id: number): void {
    const frame = controlFrame(frameType.ping, 0, words(id));
    this.#unsentBytes += frame.length;
    this.#options.transport.write(frame, () => (this.#unsentBytes -= frame.length));
    if (this.#unsentBytes > maxUnsentBytes) this.#fail('the server takes no answers to its pings');
  }

  #onTaken(): void {
    this.#isTaken = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  /** Whoever leaves without an end of the data has not said all of it. */
  #onTransportEnd(detail: string): void {
    if (!this.#peerEnded) this.#fail(detail);
  }

  #fail(detail: string): void {
    if (!this.destroyed) this.destroy(this.#options.failure(this.#error || detail));
  }
}
