/** Where Ambit's own programs are: modules of the source tree, or what `npm run bundle` made of them. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The bundler writes JavaScript; the source tree runs as it is. */
const isBundle = import.meta.filename.endsWith('.js');

/** The folder of the package: it has `src`, or `dist` where this is a bundle. */
const packageRoot = findRoot(import.meta.dirname);

/** Whether this process runs from a bundle, in which each entry point is one file and what it shares with others. */
export function isBundled(): boolean {
  return isBundle;
}

/** Path of an entry point that a process or a thread can be started with, such as `bin/extension-host`. */
export function programPath(name: string): string {
  return isBundle ? join(packageRoot, 'dist', `${name}.js`) : join(packageRoot, 'src', `${name}.ts`);
}

/** The version that package.json states. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
}

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error(`No package.json in ${import.meta.dirname} or a folder above it`);
  return findRoot(parent);
}
