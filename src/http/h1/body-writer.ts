/** The body that we send: what was promised in the head is what is written, or the connection cannot go on. */
import { writeResult, type WriteResult } from '../../net/channel.ts';
import type { HeaderList } from '../header-list.ts';
import { fieldValuePattern } from './characters.ts';
import { describeName } from './field-names.ts';
import type { Outbox } from './outbox.ts';

/** A length; `raw`: as it comes, up to the end of the connection; `none`: what is written is dropped. */
export type WriteFraming = number | 'chunked' | 'raw' | 'none';

export class BodyWriter {
  readonly #out: Outbox;
  #framing: WriteFraming = 'none';

  constructor(out: Outbox) {
    this.#out = out;
  }

  /** The head is staged; nothing of the body is written yet. */
  start(framing: WriteFraming): void {
    this.#framing = framing;
    // Body and end often come in the same turn.
    if (framing !== 'none') this.#out.flushAtTurnEnd();
  }

  /** Whether so many bytes more would break the promise. */
  exceeds(byteCount: number): boolean {
    return typeof this.#framing === 'number' && byteCount > this.#framing;
  }

  write(bytes: Uint8Array): WriteResult {
    if (bytes.length === 0 || this.#framing === 'none') return writeResult.done;
    if (this.#framing === 'chunked') return this.#out.chunk(bytes);
    if (this.#framing !== 'raw') this.#framing -= bytes.length;
    return this.#out.bytes(bytes);
  }

  /** False: less was written than was promised. */
  end(trailers: HeaderList | undefined): boolean {
    const framing = this.#framing;
    this.#framing = 'none';
    if (framing === 'chunked') {
      this.#out.text(trailers === undefined ? '0\r\n\r\n' : `0\r\n${trailerLines(trailers)}\r\n`);
    }
    this.#out.flush();
    return typeof framing !== 'number' || framing === 0;
  }
}

function trailerLines(trailers: HeaderList): string {
  let text = '';
  for (const [name, value] of trailers) {
    const field = describeName(name);
    if (field === undefined || field.noTrailer || !fieldValuePattern.test(value)) continue;
    text += `${name}: ${value}\r\n`;
  }
  return text.length > maxTrailerLength ? '' : text;
}

const maxTrailerLength = 60 * 1024;
