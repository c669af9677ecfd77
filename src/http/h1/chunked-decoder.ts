/** The chunked coding (RFC 9112 section 7.1), decoded as it comes: nothing is gathered but the trailers. */
import { HeaderList } from '../header-list.ts';
import { fieldByte, latin1Text } from './characters.ts';
import { Http1Error, malformed } from './errors.ts';
import { fieldScan, scanFields } from './field-scan.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { Http1Limits } from './limits.ts';

export interface ChunkSink {
  /** Lent until it returns. */
  onChunkData(bytes: Uint8Array): void;
}

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'over';

/** Thirteen digits fit into a number exactly. */
const maxSizeDigits = 13;

export class ChunkedDecoder {
  readonly #limits: Http1Limits;
  readonly #trailerBytes: HeadBuffer = new HeadBuffer(431);
  #state: State = 'over';
  #size = 0;
  #digits = 0;
  /** Framing beyond what chunks of a fair size need. */
  #overhead = 0;
  #trailers: HeaderList | undefined;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
  }

  start(): void {
    this.#state = 'size';
    this.#size = 0;
    this.#digits = 0;
    this.#overhead = 0;
    this.#trailers = undefined;
    this.#trailerBytes.clear();
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Once over: trailers that may go on, if there were some. */
  get trailers(): HeaderList | undefined {
    return this.#trailers;
  }

  /** Decodes from `start` on, up to the end of the body at most; the result is where it stopped. Throws an `Http1Error`. */
  decode(bytes: Uint8Array, start: number, sink: ChunkSink): number {
    const end = bytes.length;
    let at = start;
    while (at < end && this.#state !== 'over') {
      if (this.#state === 'data') {
        const stop = Math.min(end, at + this.#size);
        this.#size -= stop - at;
        if (this.#size === 0) this.#state = 'data-cr';
        const data = bytes.subarray(at, stop);
        at = stop;
        sink.onChunkData(data);
      } else if (this.#state === 'trailers') {
        at = this.#takeTrailers(bytes, at);
      } else {
        this.#frameByte(bytes[at] as number);
        at++;
      }
    }
    return at;
  }

  #frameByte(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#sizeByte(byte);
        break;
      case 'extension':
        this.#charge(1);
        if (byte === 0x0d) this.#state = 'size-lf';
        else if (fieldByte[byte] !== 1) throw malformed('A chunk extension has a forbidden character');
        break;
      case 'size-lf':
        if (byte !== 0x0a) throw malformed('A chunk size is not followed by a line end');
        this.#endSize();
        break;
      case 'data-cr':
        if (byte !== 0x0d) throw malformed('A chunk is longer than it says');
        this.#state = 'data-lf';
        break;
      case 'data-lf':
        if (byte !== 0x0a) throw malformed('A chunk is not followed by a line end');
        this.#state = 'size';
        this.#digits = 0;
        break;
      case 'data':
      case 'trailers':
      case 'over':
        throw new Error(`No byte of framing is due in ${this.#state}`);
    }
  }

  #sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#digits++;
      if (this.#digits > maxSizeDigits) throw malformed('A chunk size has too many digits');
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw malformed('A chunk size has no digits');
    if (byte === 0x0d) this.#state = 'size-lf';
    else if (byte === 0x3b) this.#state = 'extension';
    else throw malformed('A chunk size has a forbidden character');
  }

  #endSize(): void {
    this.#charge(this.#digits);
    this.#overhead = Math.max(0, this.#overhead - 16 - 2 * this.#size);
    this.#state = this.#size === 0 ? 'trailers' : 'data';
  }

  #charge(byteCount: number): void {
    this.#overhead += byteCount;
    if (this.#overhead > this.#limits.maxChunkOverheadBytes) throw malformed('Chunks have too much framing');
  }

  #takeTrailers(bytes: Uint8Array, at: number): number {
    const { maxHeadBytes, maxFields } = this.#limits;
    // Nearly always there are none.
    if (this.#trailerBytes.isEmpty && bytes[at] === 0x0d && bytes[at + 1] === 0x0a) {
      this.#state = 'over';
      return at + 2;
    }
    const end = this.#trailerBytes.take(bytes, at, maxHeadBytes);
    if (end < 0) return bytes.length;
    const section = this.#trailerBytes.bytes();
    if (scanFields(section, 0, section.length, maxFields) !== section.length) {
      throw new Http1Error(400, 'The trailers are malformed');
    }
    this.#trailers = allowedTrailers(section);
    this.#trailerBytes.clear();
    this.#state = 'over';
    return end;
  }
}

function allowedTrailers(section: Uint8Array): HeaderList | undefined {
  const { names, valueStarts, valueEnds, count } = fieldScan;
  const list = new HeaderList();
  for (let i = 0; i < count; i++) {
    const field = names[i];
    if (field === undefined || field.noTrailer || field.name.startsWith('x-envoy-')) continue;
    list.add(field.name, latin1Text(section, valueStarts[i] as number, valueEnds[i] as number));
  }
  return list.size > 0 ? list : undefined;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
