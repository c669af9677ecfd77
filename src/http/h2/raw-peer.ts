/** A peer that sends any bytes it is told to and lists the frames that it gets (tests only). */
import type { ByteChannel } from '../../net/channel.ts';
import { connectionPreface, errorCode, frameFlag, frameType } from './constants.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { HeaderList } from '../header-list.ts';

export interface RawFrame {
  readonly type: string;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const typeNames = Object.entries(frameType);
const codeNames = Object.entries(errorCode);

/** One frame as bytes. */
export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | readonly number[] = [],
): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value, i * 4));
  return bytes;
}

export class RawPeer {
  readonly #channel: ByteChannel;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: 1 << 20 });
  #pending = Buffer.alloc(0);
  readonly frames: RawFrame[] = [];
  closed = false;

  constructor(channel: ByteChannel, options: { readonly skipPreface: boolean }) {
    this.#channel = channel;
    let skip = options.skipPreface ? connectionPreface.length : 0;
    channel.read({
      neverKeeps: true,
      onData: (bytes) => {
        this.#pending = Buffer.concat([this.#pending, bytes.subarray(Math.min(skip, bytes.length))]);
        skip -= Math.min(skip, bytes.length);
        this.#parse();
        return false;
      },
      onEnd: () => channel.end(),
      onDrain() {},
      onClose: () => (this.closed = true),
    });
  }

  /** Preface (of a client), empty SETTINGS and the acknowledgement of theirs. */
  greet(asClient: boolean): this {
    if (asClient) this.send(connectionPreface);
    return this.send(rawFrame(frameType.settings, 0, 0)).send(rawFrame(frameType.settings, frameFlag.ack, 0));
  }

  send(bytes: Uint8Array): this {
    this.#channel.write(bytes);
    return this;
  }

  headers(streamId: number, fields: Record<string, string>, flags: number = frameFlag.endHeaders): this {
    return this.send(rawFrame(frameType.headers, flags, streamId, this.block(fields)));
  }

  block(fields: Record<string, string>): Buffer {
    return Buffer.from(this.#encoder.encode(new HeaderList(Object.entries(fields).flat())));
  }

  of(type: string, streamId?: number): RawFrame[] {
    return this.frames.filter(
      (frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId),
    );
  }

  /** The error of the last GOAWAY, by name. */
  get goaway(): string | undefined {
    return codeName(this.of('goaway').at(-1)?.payload.readUInt32BE(4));
  }

  /** The error of the last RST_STREAM of a stream, by name. */
  reset(streamId: number): string | undefined {
    return codeName(this.of('rstStream', streamId).at(-1)?.payload.readUInt32BE(0));
  }

  /** The fields of the header blocks of a stream, in order. Call once: the table moves on. */
  heads(): { streamId: number; fields: HeaderList | undefined }[] {
    return this.of('headers').map(({ streamId, payload }) => ({
      streamId,
      fields: this.#decoder.decode(payload, 0, payload.length),
    }));
  }

  end(): void {
    this.#channel.end();
  }

  #parse(): void {
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      this.frames.push({
        type: typeNames.find(([, type]) => type === this.#pending[3])?.[0] ?? String(this.#pending[3]),
        flags: this.#pending[4] ?? 0,
        streamId: this.#pending.readUInt32BE(5),
        payload: this.#pending.subarray(9, 9 + length),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
  }
}

function codeName(code: number | undefined): string | undefined {
  return code === undefined ? undefined : codeNames.find(([, value]) => value === code)?.[0];
}

/** Lets `count` turns of the event loop pass. */
export async function turns(count = 8): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
