/** Takes a local mesh down. What is left is the state folder; with `purge`, not even that. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import { findInit, isInitRunning, killInit } from './init.ts';
import { askSocket } from './node-socket.ts';
import { readMeshRecord, writeMeshRecord, type StatePaths } from './state-dir.ts';

export interface DownOptions {
  readonly paths: StatePaths;
  /** Remove the state folder too. */
  readonly purge: boolean;
  readonly onProgress: (step: string) => void;
}

/** Idempotent. Resolves to whether a mesh ran. Processes get a chance to end in order; init's death ends the rest. */
export async function down(options: DownOptions): Promise<boolean> {
  const { paths, onProgress } = options;
  const record = readMeshRecord(paths);
  const init = isInitRunning(record) ? record?.init : findInit(paths);
  if (init) {
    onProgress('stopping the components');
    await askSocket(paths.supervisorSocket, 'POST', '/stop', 20_000).catch((error: unknown) => {
      onProgress(`components did not stop in order (${messageOf(error)})`);
    });
    onProgress('removing the namespaces');
    await killInit(init);
  }
  if (record) {
    const { init: _, ...rest } = record;
    writeMeshRecord(paths, rest);
    rmSync(paths.sockets, { recursive: true, force: true });
    rmSync(join(paths.root, 'pods'), { recursive: true, force: true });
  }
  if (options.purge && record && existsSync(paths.root)) rmSync(paths.root, { recursive: true, force: true });
  return init !== undefined;
}
