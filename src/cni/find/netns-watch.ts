/** Watches the folder of network namespaces: one that appears or goes is news before the API knows of it. */
import { watch } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface NetnsWatchOptions {
  readonly folder: string;
  /** A file of this name came or went: the UID of a pod. */
  readonly onChange: (uid: string) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Best effort: what it cannot tell is found out later. */
export function watchNetnsFolder({ folder, onChange, log, signal }: NetnsWatchOptions): void {
  const warn = (error: unknown): void => log.warn('cannot watch network namespaces', { error: messageOf(error) });
  try {
    const watcher = watch(folder, { signal, persistent: false }, (_event, uid) => {
      if (uid !== null) onChange(uid);
    });
    watcher.on('error', warn);
  } catch (error) {
    warn(error);
  }
}
