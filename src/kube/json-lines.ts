/** Cuts a byte stream into JSON values, one a line, whatever the chunks: the body of a watch. */
import { AmbitError, messageOf } from '../lib/errors.ts';

export interface JsonLines {
  /** Takes the next bytes and returns the values they complete. Throws `kube.bad-stream` on broken JSON or an endless line. */
  push(chunk: Uint8Array): unknown[];
}

const newline = 0x0a;

/** `maxLineBytes` bounds what is kept of an unfinished line; the default holds any object that etcd does. */
export function createJsonLines(maxLineBytes: number = 16 * 1024 * 1024): JsonLines {
  let pieces: Uint8Array[] = [];
  let kept = 0;

  const parse = (line: Uint8Array): unknown => {
    const text = new TextDecoder().decode(line);
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw badStream(`a line of ${line.length} bytes is no JSON: ${messageOf(error)}`);
    }
  };

  return {
    push(chunk) {
      const values: unknown[] = [];
      let start = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        pieces.push(chunk.subarray(start, end));
        const line = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
        pieces = [];
        kept = 0;
        start = end + 1;
        if (line.length > 0) values.push(parse(line));
      }
      if (start < chunk.length) {
        // A copy, as the caller may lend the chunk; `slice` of a Buffer would be none.
        pieces.push(Uint8Array.from(chunk.subarray(start)));
        kept += chunk.length - start;
        if (kept > maxLineBytes) throw badStream(`a line is longer than ${maxLineBytes} bytes`);
      }
      return values;
    },
  };
}

function badStream(what: string): AmbitError {
  return new AmbitError(`Cannot read the watch: ${what}`, { code: 'kube.bad-stream', blame: 'upstream' });
}
