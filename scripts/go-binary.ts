/** Builds a Go program of the tests once, and keeps it in .cache by the hash of its sources. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.ts';

export type GoBinary =
  | { readonly kind: 'built'; readonly path: string }
  /** Why this machine cannot build it. */
  | { readonly kind: 'skipped'; readonly reason: string };

export interface GoProgram {
  /** Folder of a Go module, from the root of the repository. */
  readonly sources: string;
  /** The module that it is about; its version in go.mod names the folder in the cache. */
  readonly module: string;
  /** File name of the binary. */
  readonly name: string;
  /** `-X` settings of the linker, for this version. */
  readonly stamps?: (version: string) => readonly string[];
  /** How long the first build takes. */
  readonly takes: string;
}

const progressMs = 20_000;
const downloadMs = 900_000;

/** Rejects when the build fails. */
export async function buildGoBinary(program: GoProgram): Promise<GoBinary> {
  const sources = join(root, program.sources);
  const modules = readFileSync(join(sources, 'go.mod'), 'utf8');
  const needed = /^go (\d+)\.(\d+)/m.exec(modules);
  const version = versionIn(modules, program.module);
  if (!needed || version === undefined) throw new Error(`${sources}/go.mod names no Go or no ${program.module}`);
  const found = /go(\d+)\.(\d+)/.exec(spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout ?? '');
  const wanted = `${needed[1]}.${needed[2]}`;
  if (!found) return { kind: 'skipped', reason: `Go ${wanted} or newer is needed to build it, and there is none` };
  if (Number(found[1]) * 1000 + Number(found[2]) < Number(needed[1]) * 1000 + Number(needed[2]))
    return {
      kind: 'skipped',
      reason: `Go ${wanted} or newer is needed to build it, and this is ${found[1]}.${found[2]}`,
    };

  const cache = process.env['XDG_CACHE_HOME'] ? join(process.env['XDG_CACHE_HOME'], 'ambit') : join(root, '.cache');
  const title = program.module.split('/').at(-1);
  const folder = join(cache, `${title}-${version}-${hashOfSources(sources, found[0])}`);
  const path = join(folder, program.name);
  if (existsSync(path)) return { kind: 'built', path };
  const download = spawnSync('go', ['mod', 'download'], { cwd: sources, encoding: 'utf8', timeout: downloadMs });
  if (download.status !== 0)
    return { kind: 'skipped', reason: `its Go modules cannot be downloaded: ${lastLine(download.stderr)}` };
  mkdirSync(cache, { recursive: true });
  const unfinished = mkdtempSync(join(cache, `${title}-building-`));
  try {
    console.error(`building ${program.module} ${version} (once; ${program.takes} when nothing of it is compiled yet)`);
    const linker = ['-s', '-w', ...(program.stamps?.(version) ?? []).flatMap((stamp) => ['-X', stamp])].join(' ');
    await goBuild(sources, [
      'build',
      '-v',
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      linker,
      '-o',
      join(unfinished, program.name),
      '.',
    ]);
    // Two builds at once give the same: whoever is second finds a folder there.
    if (!existsSync(path)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return { kind: 'built', path };
}

function versionIn(modules: string, name: string): string | undefined {
  for (const line of modules.split('\n')) {
    const words = line.trim().split(/\s+/);
    const at = words.indexOf(name);
    if (at >= 0 && words[at + 1]?.startsWith('v')) return words[at + 1];
  }
  return undefined;
}

function lastLine(text: string | null): string {
  return (text ?? '').trim().split('\n').at(-1) || 'no answer in time';
}

function hashOfSources(sources: string, goVersion: string): string {
  const hash = createHash('sha256').update(goVersion);
  for (const name of readdirSync(sources).sort()) hash.update(`${name}\n`).update(readFileSync(join(sources, name)));
  return hash.digest('hex').slice(0, 16);
}

function goBuild(sources: string, args: readonly string[]): Promise<void> {
  const startedMs = Date.now();
  const child = spawn('go', args, { cwd: sources, stdio: ['ignore', 'inherit', 'pipe'] });
  let packages = 0;
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    const text = chunk.toString();
    packages += text.split('\n').length - 1;
    said = (said + text).slice(-4000);
  });
  const timer = setInterval(() => {
    const minutes = ((Date.now() - startedMs) / 60_000).toFixed(1);
    console.error(`  ${minutes} min, ${packages} packages`);
  }, progressMs);
  return new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`go build ended with ${code}:\n${said}`));
    });
  }).finally(() => clearInterval(timer));
}
