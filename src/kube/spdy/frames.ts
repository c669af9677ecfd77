/** Frames of SPDY/3.1 (draft 3, sections 2.2 and 2.6) as bytes: an incremental reader, and the frames that we write. */
import { spdyError } from './headers.ts';

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** Reasons of RST_STREAM (section 2.6.3). */
export const resetReason = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5 } as const;

export interface FrameHandler {
  /** A part of a data frame's payload, lent for the call; `isLast` with the frame's last part when it ends the stream. */
  data(streamId: number, bytes: Buffer, isLast: boolean): void;
  control(type: number, flags: number, payload: Buffer): void;
}

export const flagFin = 1;
/** Most bytes that we put into one data frame: others' frames come between two. */
export const frameBytes: number = 32 * 1024;
const version = 3;
const headBytes = 8;
/** The longest control frame is a SYN_STREAM with some short headers. */
const maxControlBytes = 64 * 1024;

/** Cuts a byte stream into frames. Control frames come whole, data frames in whatever parts arrive. */
export class FrameReader {
  readonly #handler: FrameHandler;
  #pending: Buffer = Buffer.alloc(0);
  /** The data frame that is being read. */
  #data: { streamId: number; left: number; isFin: boolean } | undefined;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Throws `kube.spdy` at the first frame that is wrong; nothing can be read after it. */
  read(chunk: Buffer): void {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = Buffer.alloc(0);
    for (;;) {
      if (this.#data) {
        if (rest.length === 0) return;
        rest = this.#readData(this.#data, rest);
        continue;
      }
      if (rest.length < headBytes) break;
      const first = rest.readUInt32BE(0);
      const flags = rest[4] ?? 0;
      const length = rest.readUIntBE(5, 3);
      if (first >>> 31 === 0) {
        if (first === 0) throw spdyError('a data frame has no stream');
        const isFin = (flags & flagFin) !== 0;
        rest = rest.subarray(headBytes);
        if (length > 0) this.#data = { streamId: first, left: length, isFin };
        else this.#handler.data(first, rest.subarray(0, 0), isFin);
        continue;
      }
      if (((first >>> 16) & 0x7fff) !== version) throw spdyError('a frame is of another version');
      if (length > maxControlBytes) throw spdyError('a control frame is too long');
      if (rest.length < headBytes + length) break;
      const payload = rest.subarray(headBytes, headBytes + length);
      rest = rest.subarray(headBytes + length);
      this.#handler.control(first & 0xffff, flags, payload);
    }
    this.#pending = Buffer.from(rest);
  }

  #readData(frame: { streamId: number; left: number; isFin: boolean }, rest: Buffer): Buffer {
    const part = rest.subarray(0, frame.left);
    frame.left -= part.length;
    if (frame.left === 0) this.#data = undefined;
    this.#handler.data(frame.streamId, part, frame.left === 0 && frame.isFin);
    return rest.subarray(part.length);
  }
}

/** The head of a data frame of `length` bytes. */
export function dataHead(streamId: number, length: number, flags: number): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(streamId);
  head[4] = flags;
  head.writeUIntBE(length, 5, 3);
  return head;
}

export function controlFrame(type: number, flags: number, ...payload: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE((0x80000000 | (version << 16) | type) >>> 0);
  head[4] = flags;
  head.writeUIntBE(
    payload.reduce((sum, part) => sum + part.length, 0),
    5,
    3,
  );
  return Buffer.concat([head, ...payload]);
}

/** 32-bit numbers, as most payloads are. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}
