/** Helm, where there is one: in PATH, or in .cache/ of the repository. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { repository } from './mesh.ts';
import { run, type RunResult } from './run.ts';

const folders = [join(repository, '.cache'), ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean)];

/** Its path, or undefined. */
export const helm: string | undefined = folders.map((folder) => join(folder, 'helm')).find(isExecutable);

export const chart: string = join(repository, 'charts/ambit');

/** Runs it, and fails with what it says when it fails. */
export async function runHelm(args: readonly string[], kubeconfig?: string): Promise<RunResult> {
  if (helm === undefined) throw new Error('There is no helm');
  const result = await tryHelm(args, kubeconfig);
  if (result.code !== 0) throw new Error(`helm ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
  return result;
}

export function tryHelm(args: readonly string[], kubeconfig = '/dev/null'): Promise<RunResult> {
  return run([helm ?? 'helm', ...args], { env: { KUBECONFIG: kubeconfig } });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
