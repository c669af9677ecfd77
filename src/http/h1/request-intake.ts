/** What a server reads: heads, bodies and what follows them, told apart byte by byte. */
import type { HeaderList } from '../header-list.ts';
import { ChunkedDecoder, type ChunkSink } from './chunked-decoder.ts';
import { malformed } from './errors.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { Http1Limits } from './limits.ts';
import { parseRequest, type ParsedRequest, type RequestOptions } from './request-head.ts';

/**
 * What the next byte belongs to. `answer`: to no request yet, because the one before is not answered. `drop`: to a body that nobody
 * wants. `over`: to nothing, we have ended our side.
 */
export type Reading = 'head' | 'length' | 'chunked' | 'answer' | 'tunnel' | 'drop-length' | 'drop-chunked' | 'over';

/** Callbacks may call the intake. */
export interface IntakeSink {
  /** Some bytes of a head are here, and not all. */
  onPartialHead(): void;
  /** All are. */
  onHeadEnd(): void;
  onRequest(parsed: ParsedRequest): void;
  /** Whether somebody takes the bytes of a body or a tunnel. */
  takesBody(): boolean;
  onBody(bytes: Uint8Array): void;
  onBodyEnd(trailers: HeaderList | undefined): void;
  /** A body that nobody wants is over; or there is too much of it. */
  onDropEnd(isWhole: boolean): void;
}

export class RequestIntake implements ChunkSink {
  readonly #limits: Http1Limits;
  readonly #options: RequestOptions;
  readonly #sink: IntakeSink;
  readonly #partial: HeadBuffer = new HeadBuffer(414);
  readonly #chunks: ChunkedDecoder;
  #reading: Reading = 'head';
  /** Body bytes to come; of a chunked body that is dropped: how many may. */
  #remaining = 0;
  #emptyLines = 0;

  constructor(limits: Http1Limits, options: RequestOptions, sink: IntakeSink) {
    this.#limits = limits;
    this.#options = options;
    this.#sink = sink;
    this.#chunks = new ChunkedDecoder(limits);
  }

  get reading(): Reading {
    return this.#reading;
  }

  /** Nothing of a next request has come. */
  get isBetweenRequests(): boolean {
    return this.#reading === 'head' && this.#partial.isEmpty;
  }

  get isDropping(): boolean {
    return this.#reading === 'drop-length' || this.#reading === 'drop-chunked';
  }

  /** The request is answered: another may come. */
  next(): void {
    this.#reading = 'head';
  }

  tunnel(): void {
    this.#reading = 'tunnel';
  }

  /** Drops the rest of a body. False: that would be too much. */
  drop(): boolean {
    if (this.#reading === 'chunked') {
      this.#reading = 'drop-chunked';
      this.#remaining = this.#limits.maxDroppedBytes;
      return true;
    }
    if (this.#remaining > this.#limits.maxDroppedBytes) return false;
    this.#reading = 'drop-length';
    return true;
  }

  stop(): void {
    this.#reading = 'over';
    this.#partial.clear();
  }

  /** Gives how many bytes were taken; the rest belongs to what cannot be read yet. Throws an `Http1Error`. */
  take(bytes: Uint8Array): number {
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      const next = this.#step(bytes, at);
      if (next < 0) break;
      at = next;
    }
    return at;
  }

  onChunkData(bytes: Uint8Array): void {
    if (this.#reading === 'chunked') {
      this.#sink.onBody(bytes);
    } else if (this.#reading === 'drop-chunked') {
      this.#remaining -= bytes.length;
      if (this.#remaining < 0) this.#sink.onDropEnd(false);
    }
  }

  /** Takes what belongs together, from `at` on; gives where that ends, or -1: nothing can be taken now. */
  #step(bytes: Uint8Array, at: number): number {
    switch (this.#reading) {
      case 'head':
        return this.#readHead(bytes, at);
      case 'length':
      case 'drop-length': {
        if (this.#reading === 'length' && !this.#sink.takesBody()) return -1;
        const end = Math.min(bytes.length, at + this.#remaining);
        this.#remaining -= end - at;
        if (this.#reading === 'length') {
          this.#sink.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        }
        if (this.#remaining === 0) this.#endBody(undefined);
        return end;
      }
      case 'chunked':
      case 'drop-chunked': {
        if (this.#reading === 'chunked' && !this.#sink.takesBody()) return -1;
        const end = this.#chunks.decode(bytes, at, this);
        if (this.#chunks.isOver) this.#endBody(this.#chunks.trailers);
        return end;
      }
      case 'tunnel':
        if (!this.#sink.takesBody()) return -1;
        this.#sink.onBody(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'answer':
        return -1;
      case 'over':
        return bytes.length;
    }
  }

  #readHead(bytes: Uint8Array, start: number): number {
    let at = start;
    const partial = this.#partial;
    if (partial.isEmpty) {
      if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) {
        this.#skipEmptyLine();
        at += 2;
        if (at === bytes.length) return at;
      }
      // A carriage return at the end may be half of an empty line.
      const parsed = bytes[at] === 0x0d ? undefined : parseRequest(bytes, at, bytes.length, this.#options);
      if (parsed !== undefined) {
        this.#begin(parsed);
        return parsed.end;
      }
      this.#sink.onPartialHead();
    }
    const end = partial.take(bytes, at, this.#limits.maxHeadBytes);
    if (end < 0) return bytes.length;
    const head = partial.bytes();
    partial.clear();
    this.#sink.onHeadEnd();
    if (head.length === 2) {
      this.#skipEmptyLine();
      return end;
    }
    const parsed = parseRequest(head, 0, head.length, this.#options);
    if (parsed === undefined || parsed.end !== head.length) throw malformed('The head ends early');
    this.#begin(parsed);
    return end;
  }

  /** One is tolerated before a request (RFC 9112 section 2.2). */
  #skipEmptyLine(): void {
    this.#emptyLines++;
    if (this.#emptyLines > 1) throw malformed('Empty lines instead of a request');
  }

  #begin(parsed: ParsedRequest): void {
    this.#emptyLines = 0;
    const { bodyLength } = parsed;
    if (bodyLength === 0) {
      this.#reading = 'answer';
    } else if (bodyLength === 'unknown') {
      this.#reading = 'chunked';
      this.#chunks.start();
    } else {
      this.#reading = 'length';
      this.#remaining = bodyLength;
    }
    this.#sink.onRequest(parsed);
  }

  #endBody(trailers: HeaderList | undefined): void {
    if (this.#reading === 'over') return;
    const isDropped = this.isDropping;
    this.#reading = 'answer';
    if (isDropped) this.#sink.onDropEnd(true);
    else this.#sink.onBodyEnd(trailers);
  }
}
