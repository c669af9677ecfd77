/** Logs of a local mesh's processes: files, printed and followed. */
import { createReadStream, statSync, watch } from 'node:fs';
import { AmbitError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';

export interface FileLog {
  readonly path: string;
  readonly follow?: boolean | undefined;
  /** Only so many lines, the last ones. */
  readonly tail?: number | undefined;
  /** Why there may be none. */
  readonly whyNone: string;
}

/** Resolves at its end, or when the command is interrupted if it follows. Throws `cli.no-log`. */
export async function printFile(context: CliContext, { path, follow, tail, whyNone }: FileLog): Promise<void> {
  try {
    statSync(path);
  } catch {
    throw new AmbitError(`No log at ${path}: ${whyNone}`, { code: 'cli.no-log', blame: 'downstream' });
  }
  let offset = tail === undefined ? 0 : await startOfTail(path, tail);
  const printRest = async (): Promise<void> => {
    for await (const chunk of createReadStream(path, { start: offset })) {
      offset += (chunk as Buffer).length;
      context.out.write(chunk as Buffer);
    }
  };
  await printRest();
  if (!follow) return;
  const watcher = watch(path, { signal: context.signal });
  let queue = Promise.resolve();
  watcher.on('change', () => {
    queue = queue.then(printRest, () => undefined);
  });
  await new Promise((resolve) => {
    watcher.on('close', resolve);
    watcher.on('error', resolve);
  });
}

/** Offset of the first of the last `tail` lines; a last line may lack its end. */
async function startOfTail(path: string, tail: number): Promise<number> {
  /** Of the lines read so far, the last `tail`, round and round. */
  const starts = [0];
  let lines = 1;
  let offset = 0;
  for await (const chunk of createReadStream(path)) {
    const bytes = chunk as Buffer;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
      starts[lines % (tail + 1)] = offset + at + 1;
      lines += 1;
    }
    offset += bytes.length;
  }
  // What begins where the file ends is no line.
  const whole = starts[(lines - 1) % (tail + 1)] === offset ? lines - 1 : lines;
  return whole <= tail ? 0 : (starts[(whole - tail) % (tail + 1)] ?? 0);
}
