/** Follows a small file by looking: through symbolic links that are swapped, and on mounts that tell nobody. */
import { readFile } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import { codeOf, messageOf } from './errors.ts';

export type FileState =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'unreadable'; readonly reason: string; readonly isAbsent: boolean };

export interface FileWatchOptions {
  readonly path: string;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called with the first state, and with each one that is different. */
  readonly onChange: (state: FileState) => void;
}

/** Resolves when `onChange` was called for the first time. */
export async function watchFile(options: FileWatchOptions): Promise<void> {
  const { path, everyMs, clock, signal, onChange } = options;
  let last: FileState | undefined;
  const look = async (): Promise<void> => {
    const state = await read(path);
    if (signal.aborted) return;
    if (!last || !isSame(last, state)) {
      last = state;
      onChange(state);
    }
    cancel = clock.after(everyMs, () => void look());
  };
  let cancel = (): void => {};
  signal.addEventListener('abort', () => cancel(), { once: true });
  await look();
}

async function read(path: string): Promise<FileState> {
  try {
    return { kind: 'read', bytes: await readFile(path) };
  } catch (error) {
    return { kind: 'unreadable', reason: messageOf(error), isAbsent: codeOf(error) === 'ENOENT' };
  }
}

function isSame(a: FileState, b: FileState): boolean {
  if (a.kind === 'read') return b.kind === 'read' && a.bytes.equals(b.bytes);
  return b.kind === 'unreadable' && a.reason === b.reason;
}
