/**
 * A folder whose files change together, as kubelet's atomic writer does it: the files lie in a folder of their own,
 * `..data` links to it, each visible name links into `..data`, and a new version is one rename of `..data`.
 */
import { chmod, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from '../../lib/errors.ts';
import type { VolumeFile } from './volume-files.ts';

const dataLink = '..data';

/** Makes the folder hold exactly `files`. Resolves to whether anything changed. */
export async function writeAtomicFolder(
  folder: string,
  files: readonly VolumeFile[],
  version: number,
): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const current = await readlink(join(folder, dataLink)).catch(absent);
  if (current !== undefined && (await holds(join(folder, current), files))) return false;

  const next = `..${version}`;
  await rm(join(folder, next), { recursive: true, force: true });
  await mkdir(join(folder, next), { mode: 0o755 });
  for (const file of files) {
    const path = join(folder, next, file.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.content, { mode: file.mode });
    // The umask took bits away.
    await chmod(path, file.mode);
  }
  await rm(join(folder, `${dataLink}.new`), { force: true });
  await symlink(next, join(folder, `${dataLink}.new`));
  await rename(join(folder, `${dataLink}.new`), join(folder, dataLink));

  const visible = new Set(files.map((file) => file.path.split('/')[0] ?? ''));
  const present = await readdir(folder);
  for (const name of visible) if (!present.includes(name)) await symlink(join(dataLink, name), join(folder, name));
  for (const name of present) {
    const isStale = name.startsWith('..') ? name !== dataLink && name !== next : !visible.has(name);
    if (isStale) await rm(join(folder, name), { recursive: true, force: true });
  }
  return true;
}

async function holds(folder: string, files: readonly VolumeFile[]): Promise<boolean> {
  const present = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  if (present.length !== files.length) return false;
  for (const file of files) {
    const content = await readFile(join(folder, file.path)).catch(absent);
    if (!content?.equals(file.content)) return false;
  }
  return true;
}

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined;
  throw error;
}
