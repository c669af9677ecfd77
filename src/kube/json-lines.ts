/** Cuts a byte stream into JSON values, one a line, whatever the chunks: the body of a watch. */
import { AmbitError, messageOf } from '../lib/errors.ts';

export interface JsonLines {
  /**
   * Takes the next bytes and returns the values they complete. Throws `kube.bad-stream` on broken JSON and
   * `kube.line-too-long` on an endless line.
   */
  push(chunk: Uint8Array): unknown[];
  /** The stream is over. Throws `kube.cut-line` when that was inside a line, which is then no value. */
  end(): void;
}

const newline = 0x0a;

/** `maxLineBytes` bounds what is kept of an unfinished line; the default holds any object that etcd does (1.5 MiB) many times. */
export function createJsonLines(maxLineBytes: number = 16 * 1024 * 1024): JsonLines {
  let pieces: Uint8Array[] = [];
  let kept = 0;

  const check = (length: number): void => {
    if (length > maxLineBytes) {
      throw badStream('kube.line-too-long', `a line is longer than ${maxLineBytes} bytes`);
    }
  };

  return {
    push(chunk) {
      const values: unknown[] = [];
      let start = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        check(kept + end - start);
        pieces.push(chunk.subarray(start, end));
        const line = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
        pieces = [];
        kept = 0;
        start = end + 1;
        if (line.length > 0) values.push(parseLine(line));
      }
      if (start < chunk.length) {
        // A copy, as the caller may lend the chunk; `slice` of a Buffer would be none.
        pieces.push(Uint8Array.from(chunk.subarray(start)));
        kept += chunk.length - start;
        check(kept);
      }
      return values;
    },
    end() {
      if (kept > 0) throw badStream('kube.cut-line', `it ended ${kept} bytes into a line`);
    },
  };
}

function parseLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8')) as unknown;
  } catch (error) {
    throw badStream('kube.bad-stream', `a line of ${line.length} bytes is no JSON: ${messageOf(error)}`);
  }
}

function badStream(code: string, what: string): AmbitError {
  return new AmbitError(`Cannot read the watch: ${what}`, { code, blame: 'upstream' });
}
