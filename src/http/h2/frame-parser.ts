/** Frame parser: a stream of bytes in, frames out; DATA is handed on as it comes, other frames whole. */
import { connectionPreface, errorCode, frameFlag, frameHeaderLength, frameType } from './constants.ts';
import { connectionError } from './errors.ts';

/** What the parser finds, in order. A callback that throws ends the parsing of the chunk. */
export interface FrameSink {
  /** A DATA frame begins; `length` is that of the whole payload, padding included, and counts for flow control. */
  onDataFrame(streamId: number, length: number, flags: number): void;
  /** Bytes of the DATA frame, lent until the return. Never empty. */
  onDataBytes(bytes: Uint8Array): void;
  /** So many bytes of the DATA frame were padding. */
  onDataPadding(byteCount: number): void;
  /** The DATA frame is complete. */
  onDataFrameEnd(flags: number): void;
  /** Any other frame, whole: `source[start, end)`, lent. */
  onFrame(type: number, flags: number, streamId: number, source: Uint8Array, start: number, end: number): void;
}

export interface FrameParserOptions {
  readonly sink: FrameSink;
  /** Our SETTINGS_MAX_FRAME_SIZE. */
  readonly maxFrameSize: number;
  /** A server expects the client's preface first. */
  readonly expectPreface: boolean;
}

type State = 'preface' | 'header' | 'payload' | 'pad-length' | 'data' | 'padding' | 'stopped';

export class FrameParser {
  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  #state: State;
  /** A part of the preface, of a frame header or of a small frame that a chunk boundary cut. */
  #partial: Buffer = Buffer.allocUnsafeSlow(24);
  #partialLength = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #length = 0;
  /** Of the DATA frame: bytes and padding still to come. */
  #dataLeft = 0;
  #paddingLeft = 0;

  constructor(options: FrameParserOptions) {
    this.#sink = options.sink;
    this.#maxFrameSize = options.maxFrameSize;
    this.#state = options.expectPreface ? 'preface' : 'header';
  }

  /** No more callbacks, also for the rest of a chunk that is being parsed. */
  stop(): void {
    this.#state = 'stopped';
  }

  /** Parses a chunk. Throws connection errors. */
  parse(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case 'header':
          if (this.#partialLength === 0 && chunk.length - at >= frameHeaderLength) {
            this.#begin(chunk, at);
            at += frameHeaderLength;
          } else {
            at += this.#collect(chunk, at, frameHeaderLength);
            if (this.#partialLength < frameHeaderLength) return;
            this.#partialLength = 0;
            this.#begin(this.#partial, 0);
          }
          break;
        case 'data': {
          const take = Math.min(this.#dataLeft, chunk.length - at);
          this.#dataLeft -= take;
          this.#sink.onDataBytes(chunk.subarray(at, at + take));
          at += take;
          if (this.#dataLeft === 0) this.#afterData();
          break;
        }
        case 'pad-length':
          this.#readPadLength(chunk[at++] as number);
          break;
        case 'padding': {
          const take = Math.min(this.#paddingLeft, chunk.length - at);
          this.#paddingLeft -= take;
          at += take;
          if (this.#paddingLeft === 0) this.#endData();
          break;
        }
        case 'payload':
          if (this.#partialLength === 0 && chunk.length - at >= this.#length) {
            this.#finish(chunk, at);
            at += this.#length;
          } else {
            at += this.#collect(chunk, at, this.#length);
            if (this.#partialLength < this.#length) return;
            this.#partialLength = 0;
            this.#finish(this.#partial, 0);
            // A large frame is rare: its memory is not held on to.
            if (this.#partial.length > 1024) this.#partial = Buffer.allocUnsafeSlow(24);
          }
          break;
        case 'preface':
          at += this.#collect(chunk, at, connectionPreface.length);
          this.#checkPreface();
          break;
        case 'stopped':
          return;
      }
    }
  }

  #begin(source: Uint8Array, at: number): void {
    const length = ((source[at] as number) << 16) | ((source[at + 1] as number) << 8) | (source[at + 2] as number);
    const type = source[at + 3] as number;
    const flags = source[at + 4] as number;
    // The reserved highest bit is ignored (RFC 9113 section 4.1).
    const streamId =
      (((source[at + 5] as number) & 0x7f) << 24) |
      ((source[at + 6] as number) << 16) |
      ((source[at + 7] as number) << 8) |
      (source[at + 8] as number);
    if (length > this.#maxFrameSize) {
      throw connectionError(errorCode.frameSizeError, `Peer sent a frame of ${length} bytes, over the limit`);
    }
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#length = length;
    if (type === frameType.data) {
      this.#dataLeft = length;
      this.#paddingLeft = 0;
      this.#sink.onDataFrame(streamId, length, flags);
      if (this.#state === 'stopped') return;
      if ((flags & frameFlag.padded) !== 0) {
        if (length === 0) throw connectionError(errorCode.frameSizeError, 'Peer sent padded DATA without a pad length');
        this.#state = 'pad-length';
      } else if (length > 0) this.#state = 'data';
      else this.#endData();
    } else if (length === 0) this.#finish(source, at);
    else this.#state = 'payload';
  }

  #readPadLength(padLength: number): void {
    if (padLength >= this.#length) {
      throw connectionError(errorCode.protocolError, 'Peer sent DATA with more padding than payload');
    }
    this.#dataLeft = this.#length - 1 - padLength;
    this.#paddingLeft = padLength;
    this.#sink.onDataPadding(padLength + 1);
    this.#state = 'data';
    if (this.#dataLeft === 0) this.#afterData();
  }

  #afterData(): void {
    if (this.#state === 'stopped') return;
    if (this.#paddingLeft > 0) this.#state = 'padding';
    else this.#endData();
  }

  #endData(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'header';
    this.#sink.onDataFrameEnd(this.#flags);
  }

  #finish(source: Uint8Array, at: number): void {
    if (this.#state === 'stopped') return;
    this.#state = 'header';
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, source, at, at + this.#length);
  }

  /** Adds to the partial bytes up to `wanted` in all; returns how many it took. */
  #collect(chunk: Uint8Array, at: number, wanted: number): number {
    const take = Math.min(wanted - this.#partialLength, chunk.length - at);
    if (this.#partial.length < wanted) {
      const larger = Buffer.allocUnsafeSlow(wanted);
      larger.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = larger;
    }
    this.#partial.set(chunk.subarray(at, at + take), this.#partialLength);
    this.#partialLength += take;
    return take;
  }

  #checkPreface(): void {
    for (let i = 0; i < this.#partialLength; i++) {
      if (this.#partial[i] !== connectionPreface[i]) {
        throw connectionError(errorCode.protocolError, 'Peer did not start with the HTTP/2 preface');
      }
    }
    if (this.#partialLength < connectionPreface.length) return;
    this.#partialLength = 0;
    this.#state = 'header';
  }
}
