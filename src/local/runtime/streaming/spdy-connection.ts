/**
 * The serving end of a SPDY/3.1 connection as Kubernetes' clients use it (moby/spdystream): they open streams, we answer. Neither
 * end has SPDY's flow control: who is behind does not read the connection. WINDOW_UPDATE and SETTINGS say nothing here.
 */
import { Duplex } from 'node:stream';
import { AmbitError } from '../../../lib/errors.ts';
import {
  controlFrame,
  dataHead,
  flagFin,
  frameBytes,
  FrameReader,
  frameType,
  HeaderReader,
  HeaderWriter,
  resetReason,
  spdyError,
  words,
  type HeaderBlock,
} from '../../../kube/spdy/index.ts';

export interface SpdyConnectionOptions {
  readonly transport: Duplex;
  /** Most streams at a time; more are refused. */
  readonly maxStreams: number;
  /** A stream that a client opened. What it throws refuses the stream. */
  readonly onStream: (stream: SpdyStream) => void;
  /** Once, after every stream was closed. */
  readonly onClose: () => void;
}

/** Bytes of a stream that wait for its reader before the connection is no longer read. */
const streamBufferBytes = 256 * 1024;
/** Answers, such as to pings, that a client does not take. Data has its own limits. */
const maxUnsentBytes = 256 * 1024;

export class SpdyConnection {
  readonly #options: SpdyConnectionOptions;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #full = new Set<number>();
  readonly #headerReader = new HeaderReader();
  readonly #headerWriter = new HeaderWriter();
  #lastStreamId = 0;
  #unsentBytes = 0;
  #isClosed = false;
  #isEnding = false;

  constructor(options: SpdyConnectionOptions) {
    this.#options = options;
    const { transport } = options;
    const reader = new FrameReader({
      data: (streamId, bytes, isLast) => this.#onData(streamId, bytes, isLast),
      control: (type, flags, payload) => this.#onControl(type, flags, payload),
    });
    transport.on('data', (chunk: Buffer) => {
      if (this.#isClosed) return;
      try {
        reader.read(chunk);
      } catch {
        transport.write(controlFrame(frameType.goAway, 0, words(this.#lastStreamId, 1)));
        transport.end();
        this.#close();
      }
    });
    transport.on('end', () => {
      transport.end();
      this.#close();
    });
    transport.on('error', () => this.#close());
    transport.on('close', () => this.#close());
  }

  /** Says that no more streams are taken, and ends the connection once what was written is out. */
  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#options.transport.write(controlFrame(frameType.goAway, 0, words(this.#lastStreamId, 0)));
    this.#options.transport.end();
  }

  destroy(): void {
    this.#options.transport.destroy();
    this.#close();
  }

  #onData(streamId: number, bytes: Buffer, isLast: boolean): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    // The chunk belongs to the transport's read; streams keep theirs.
    if (bytes.length > 0 && !stream.receive(bytes)) {
      this.#full.add(streamId);
      this.#options.transport.pause();
    }
    if (isLast) stream.receiveEnd();
  }

  #onControl(type: number, flags: number, payload: Buffer): void {
    const word = (at: number): number => {
      if (payload.length < at + 4) throw spdyError('a control frame ends too early');
      return payload.readUInt32BE(at);
    };
    switch (type) {
      case frameType.synStream:
        return this.#openStream(word(0) & 0x7fffffff, flags, payload);
      case frameType.synReply:
      case frameType.headers:
        word(0);
        // Not for us, but what follows is compressed against it.
        this.#headerReader.read(payload.subarray(4));
        return;
      case frameType.rstStream:
        return this.#streams.get(word(0) & 0x7fffffff)?.receiveReset();
      case frameType.ping:
        // Even ones would answer pings of ours.
        if (word(0) % 2 === 1) this.#answer(controlFrame(frameType.ping, 0, words(word(0))));
        return;
      default:
        // GOAWAY: its sender ends the connection itself. Others: see above.
        return;
    }
  }

  #openStream(streamId: number, flags: number, payload: Buffer): void {
    if (payload.length < 10) throw spdyError('a control frame ends too early');
    const headers = this.#headerReader.read(payload.subarray(10));
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId)
      return this.#answer(controlFrame(frameType.rstStream, 0, words(streamId, resetReason.protocolError)));
    this.#lastStreamId = streamId;
    if (this.#streams.size >= this.#options.maxStreams || this.#isEnding)
      return this.#answer(controlFrame(frameType.rstStream, 0, words(streamId, resetReason.refusedStream)));
    const stream = new SpdyStream(streamId, headers, {
      send: (data, isLast, done) => this.#send(streamId, data, isLast, done),
      drained: () => {
        if (this.#full.delete(streamId) && this.#full.size === 0) this.#options.transport.resume();
      },
      reset: () => this.#answer(controlFrame(frameType.rstStream, 0, words(streamId, resetReason.cancel))),
      gone: () => {
        this.#streams.delete(streamId);
        if (this.#full.delete(streamId) && this.#full.size === 0) this.#options.transport.resume();
      },
    });
    this.#streams.set(streamId, stream);
    // A client drops data that comes before the reply.
    this.#answer(
      controlFrame(frameType.synReply, 0, Buffer.concat([words(streamId), this.#headerWriter.write(new Map())])),
    );
    if ((flags & flagFin) !== 0) stream.receiveEnd();
    try {
      this.#options.onStream(stream);
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #send(streamId: number, data: Buffer, isLast: boolean, done: (error?: Error | null) => void): void {
    const { transport } = this.#options;
    if (this.#isClosed || this.#isEnding) return done(closedError());
    if (data.length === 0) {
      transport.write(dataHead(streamId, 0, isLast ? flagFin : 0), done);
      return;
    }
    transport.cork();
    for (let at = 0; at < data.length; at += frameBytes) {
      const part = data.subarray(at, at + frameBytes);
      const isEnd = at + frameBytes >= data.length;
      transport.write(dataHead(streamId, part.length, 0));
      if (isEnd) transport.write(part, done);
      else transport.write(part);
    }
    transport.uncork();
  }

  #answer(frame: Buffer): void {
    const { transport } = this.#options;
    if (this.#isClosed || this.#isEnding) return;
    this.#unsentBytes += frame.length;
    transport.write(frame, () => (this.#unsentBytes -= frame.length));
    if (this.#unsentBytes > maxUnsentBytes) this.destroy();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams.values()) stream.receiveReset();
    this.#streams.clear();
    this.#options.onClose();
  }
}

interface StreamSide {
  send(data: Buffer, isLast: boolean, done: (error?: Error | null) => void): void;
  /** The reader took what was there. */
  drained(): void;
  reset(): void;
  gone(): void;
}

/** One stream: its two directions end by themselves; destroying it resets it. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: HeaderBlock;
  readonly #side: StreamSide;
  #wasReset = false;

  constructor(id: number, headers: HeaderBlock, side: StreamSide) {
    super({ allowHalfOpen: true, readableHighWaterMark: streamBufferBytes, writableHighWaterMark: 2 * frameBytes });
    this.id = id;
    this.headers = headers;
    this.#side = side;
    // Whoever uses the stream sees it close; an error adds nothing.
    this.on('error', () => {});
  }

  /** False when the reader is behind. */
  receive(bytes: Buffer): boolean {
    if (this.readableEnded || this.destroyed) return true;
    return this.push(Buffer.from(bytes));
  }

  receiveEnd(): void {
    if (!this.destroyed) this.push(null);
  }

  receiveReset(): void {
    this.#wasReset = true;
    this.destroy();
  }

  override _read(): void {
    this.#side.drained();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#side.send(chunk, false, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#wasReset) return done();
    this.#side.send(Buffer.alloc(0), true, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isOver = this.readableEnded && this.writableFinished;
    if (!this.#wasReset && !isOver) this.#side.reset();
    this.#side.gone();
    done(error);
  }
}

function closedError(): AmbitError {
  return new AmbitError('Cannot write to a SPDY connection: it is closed', {
    code: 'runtime.spdy-closed',
    blame: 'downstream',
  });
}
