/** Puts the plugin where container runtimes look for it: a few lines that start a Node of its own, which the host need not have. */
import { chmod, copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { isBundled, programPath } from '../../lib/program.ts';
import { pluginType } from './conflist.ts';

export interface LauncherOptions {
  /** The folder as we see it, and as the container runtime does. */
  readonly binDir: string;
  readonly hostBinDir: string;
  /** The Node to copy. */
  readonly nodePath: string;
}

const sourceRoot = resolve(import.meta.dirname, '../..');
const entry = programPath('bin/cni-plugin');
const pluginPath = join('lib', 'bin', 'cni-plugin.js');
const folderName = `${pluginType}.d`;

/** Installs or updates it; every file is replaced in one step, so that a plugin that runs meanwhile is whole. Resolves to whether anything changed. */
export async function installLauncher({ binDir, hostBinDir, nodePath }: LauncherOptions): Promise<boolean> {
  const folder = join(binDir, folderName);
  const hostFolder = join(hostBinDir, folderName);
  let changed = await copyNode(nodePath, join(folder, 'node'));
  for (const [path, text] of await pluginModules()) changed = (await write(join(folder, path), text, 0o644)) || changed;
  changed = (await write(join(folder, 'package.json'), '{ "type": "module" }\n', 0o644)) || changed;
  // The kernel reads the first line: no shell takes part.
  const launcher = `#!${hostFolder}/node\nimport('${hostFolder}/${pluginPath}');\n`;
  return (await write(join(binDir, pluginType), launcher, 0o755)) || changed;
}

export async function removeLauncher(binDir: string): Promise<void> {
  await rm(join(binDir, pluginType), { force: true });
  await rm(join(binDir, folderName), { recursive: true, force: true });
}

/** The plugin and what it imports, as JavaScript by relative path: it then starts without the compiler. A bundle has it as one file. */
export async function pluginModules(): Promise<Map<string, string>> {
  if (isBundled()) return new Map([[pluginPath, await readFile(entry, 'utf8')]]);
  const modules = new Map<string, string>();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const path = modulePath(file);
    if (modules.has(path)) continue;
    const here = dirname(file);
    const script = stripTypeScriptTypes(await readFile(file, 'utf8'));
    const linked = script.replaceAll(
      /(from\s+|import\()'(\.{1,2}\/[^']+)\.ts'/g,
      (_all, before: string, target: string) => {
        waiting.push(resolve(here, `${target}.ts`));
        return `${before}'${target}.js'`;
      },
    );
    modules.set(path, linked);
  }
  return modules;
}

function modulePath(file: string): string {
  return join('lib', relative(sourceRoot, file)).replace(/\.ts$/, '.js');
}

async function copyNode(from: string, to: string): Promise<boolean> {
  const [source, target] = await Promise.all([stat(from), stat(to).catch(() => undefined)]);
  if (target && target.size === source.size && target.mtimeMs >= source.mtimeMs) return false;
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, `${to}.new`);
  await chmod(`${to}.new`, 0o755);
  await rename(`${to}.new`, to);
  return true;
}

async function write(path: string, text: string, mode: number): Promise<boolean> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return false;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, text, { mode });
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
  return true;
}
