/** A place for commands to run in that keeps what they write (tests only). */
import { Writable } from 'node:stream';
import { join } from 'node:path';
import type { CliContext } from './context.ts';

export interface TestContext extends CliContext {
  stdout(): string;
  stderr(): string;
}

export function createTestContext(
  options: { readonly home?: string; readonly env?: CliContext['env'] } = {},
): TestContext {
  const out = collector();
  const err = collector();
  return {
    self: { node: process.execPath, binDir: join(import.meta.dirname, '../bin') },
    env: options.env ?? {},
    home: options.home ?? '/nonexistent',
    isRoot: false,
    out: out.stream,
    err: err.stream,
    signal: new AbortController().signal,
    stdout: out.text,
    stderr: err.text,
  };
}

function collector(): { stream: Writable; text: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { stream, text: () => text };
}
