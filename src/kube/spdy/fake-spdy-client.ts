/** A SPDY client that speaks as moby/spdystream does, and keeps what it is told (tests only). */
import type { Duplex } from 'node:stream';
import { constants, createDeflate, type Deflate } from 'node:zlib';
import { controlFrame, dataHead, flagFin, FrameReader, frameType, words } from './frames.ts';
import { headerDictionary, HeaderReader } from './headers.ts';

/** What a compressor gives at a flush. */
export async function flushed(deflate: Deflate): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const keep = (chunk: Buffer): void => void chunks.push(chunk);
  deflate.on('data', keep);
  await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
  deflate.off('data', keep);
  return Buffer.concat(chunks);
}

export interface StreamRecord {
  replied: boolean;
  data: Buffer;
  ended: boolean;
  reset: number | undefined;
}

export class FakeSpdyClient {
  readonly streams: Map<number, StreamRecord> = new Map();
  readonly pings: number[] = [];
  goAway: number | undefined;
  readonly #transport: Duplex;
  readonly #deflate = createDeflate({ dictionary: headerDictionary, level: 9 });
  readonly #headers = new HeaderReader();
  #nextId = 1;
  #changed = Promise.withResolvers<void>();

  constructor(transport: Duplex) {
    this.#transport = transport;
    const reader = new FrameReader({
      data: (id, bytes, isLast) => {
        const stream = this.#stream(id);
        // spdystream drops what comes before the reply.
        if (stream.replied) stream.data = Buffer.concat([stream.data, bytes]);
        stream.ended ||= isLast;
      },
      control: (type, _flags, payload) => {
        if (type === frameType.synReply) {
          this.#headers.read(payload.subarray(4));
          this.#stream(payload.readUInt32BE(0)).replied = true;
        }
        if (type === frameType.rstStream) this.#stream(payload.readUInt32BE(0)).reset = payload.readUInt32BE(4);
        if (type === frameType.ping) this.pings.push(payload.readUInt32BE(0));
        if (type === frameType.goAway) this.goAway = payload.readUInt32BE(4);
      },
    });
    transport.on('data', (chunk: Buffer) => {
      reader.read(chunk);
      this.#wake();
    });
    transport.on('close', () => this.#wake());
    transport.on('error', () => this.#wake());
  }

  /** Opens a stream without waiting for its reply; resolves to its id. */
  async open(headers: Readonly<Record<string, string>>, id: number = this.#nextId): Promise<number> {
    this.#nextId = id + 2;
    this.#transport.write(
      controlFrame(frameType.synStream, 0, words(id, 0), Buffer.alloc(2), await this.compress(headers)),
    );
    return id;
  }

  async compress(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const texts = Object.entries(headers).flat();
    const parts = texts.flatMap((text) => [words(Buffer.byteLength(text)), Buffer.from(text)]);
    this.#deflate.write(Buffer.concat([words(texts.length / 2), ...parts]));
    return flushed(this.#deflate);
  }

  send(id: number, text: string | Buffer, isLast = false): void {
    const bytes = Buffer.from(text);
    this.#transport.write(Buffer.concat([dataHead(id, bytes.length, isLast ? flagFin : 0), bytes]));
  }

  write(bytes: Buffer): void {
    this.#transport.write(bytes);
  }

  /** Resolves once `holds` does. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#changed.promise;
  }

  #stream(id: number): StreamRecord {
    const found = this.streams.get(id);
    if (found) return found;
    const made: StreamRecord = { replied: false, data: Buffer.alloc(0), ended: false, reset: undefined };
    this.streams.set(id, made);
    return made;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
