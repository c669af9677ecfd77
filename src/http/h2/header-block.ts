/** Header block: HEADERS and its CONTINUATIONs put together, within bounds. */
import type { HeaderList } from '../header-list.ts';
import { errorCode, frameFlag } from './constants.ts';
import { connectionError } from './errors.ts';
import type { HpackDecoder } from './hpack-decoder.ts';

/** An honest peer fills its frames: more than this many pieces is an attack (CVE-2024-27316). */
const maxContinuations = 64;

export class HeaderBlock {
  readonly #maxBytes: number;
  #source: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #continuations = 0;
  /** The stream of the block under way; 0 between blocks. */
  streamId = 0;
  endStream = false;
  /** The HEADERS made its stream depend on itself: a stream error. */
  selfDependent = false;

  /** `maxListSize`: compressed, no block needs more than its list, with room for what we answer 431. */
  constructor(maxListSize: number) {
    this.#maxBytes = maxListSize + 16_384;
  }

  /** Starts with a HEADERS frame: takes off padding and priority. */
  begin(flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    let from = start;
    let to = end;
    if ((flags & frameFlag.padded) !== 0) {
      if (from === to) throw connectionError(errorCode.frameSizeError, 'Peer sent padded HEADERS without a pad length');
      to -= source[from++] as number;
    }
    this.selfDependent = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (end - from < 5) throw connectionError(errorCode.frameSizeError, 'Peer sent HEADERS with a cut-off priority');
      const view = new DataView(source.buffer, source.byteOffset + from, 4);
      this.selfDependent = (view.getUint32(0) & 0x7fff_ffff) === streamId;
      from += 5;
    }
    if (to < from) throw connectionError(errorCode.protocolError, 'Peer sent HEADERS with more padding than payload');
    if (to - from > this.#maxBytes) throw blockTooLong();
    this.streamId = streamId;
    this.endStream = (flags & frameFlag.endStream) !== 0;
    this.#source = source;
    this.#start = from;
    this.#end = to;
    this.#continuations = 0;
  }

  /** Adds a CONTINUATION. */
  append(source: Uint8Array, start: number, end: number): void {
    const length = this.#end - this.#start + end - start;
    if (++this.#continuations > maxContinuations || length > this.#maxBytes) {
      throw blockTooLong();
    }
    const joined = Buffer.allocUnsafeSlow(length);
    joined.set(this.#source.subarray(this.#start, this.#end), 0);
    joined.set(source.subarray(start, end), this.#end - this.#start);
    this.#source = joined;
    this.#start = 0;
    this.#end = length;
  }

  /** More is to come: what `begin` lent must be copied. */
  keep(): void {
    this.#source = Uint8Array.prototype.slice.call(this.#source, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** Decodes the whole block; undefined when the list is over the limit. */
  finish(decoder: HpackDecoder): HeaderList | undefined {
    const list = decoder.decode(this.#source, this.#start, this.#end);
    this.streamId = 0;
    this.#source = empty;
    this.#start = 0;
    this.#end = 0;
    return list;
  }
}

const empty = new Uint8Array(0);

function blockTooLong(): Error {
  return connectionError(errorCode.enhanceYourCalm, 'Peer sent a header block over the limit');
}
