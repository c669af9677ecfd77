/** Builds Kubernetes' own server (test/kubernetes/server) once, and keeps it by the hash of its sources. Prints its path. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.ts';

export type ServerBinary =
  | { readonly kind: 'built'; readonly path: string }
  /** Why this machine cannot build it. */
  | { readonly kind: 'skipped'; readonly reason: string };

const sources = join(root, 'test/kubernetes/server');
const progressMs = 20_000;
const downloadMs = 900_000;

/** Rejects when the build fails. A cold one takes 8 to 15 minutes on two cores, and 3 GB of disk. */
export async function buildKubernetesServer(): Promise<ServerBinary> {
  const modules = readFileSync(join(sources, 'go.mod'), 'utf8');
  const needed = /^go (\d+)\.(\d+)/m.exec(modules);
  const release = /^\s*k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)$/m.exec(modules);
  if (!needed || !release) throw new Error(`${sources}/go.mod names no Go or no k8s.io/kubernetes`);
  const found = /go(\d+)\.(\d+)/.exec(spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout ?? '');
  const wanted = `${needed[1]}.${needed[2]}`;
  if (!found) return { kind: 'skipped', reason: `Go ${wanted} or newer is needed to build it, and there is none` };
  if (Number(found[1]) * 1000 + Number(found[2]) < Number(needed[1]) * 1000 + Number(needed[2]))
    return {
      kind: 'skipped',
      reason: `Go ${wanted} or newer is needed to build it, and this is ${found[1]}.${found[2]}`,
    };

  const cache = process.env['XDG_CACHE_HOME'] ? join(process.env['XDG_CACHE_HOME'], 'ambit') : join(root, '.cache');
  const folder = join(cache, `kubernetes-${release[1]}-${hashOfSources(found[0])}`);
  const path = join(folder, 'server');
  if (existsSync(path)) return { kind: 'built', path };
  const download = spawnSync('go', ['mod', 'download'], { cwd: sources, encoding: 'utf8', timeout: downloadMs });
  if (download.status !== 0)
    return { kind: 'skipped', reason: `its Go modules cannot be downloaded: ${lastLine(download.stderr)}` };
  mkdirSync(cache, { recursive: true });
  const unfinished = mkdtempSync(join(cache, 'kubernetes-building-'));
  try {
    await goBuild(join(unfinished, 'server'), release);
    // Two builds at once give the same: whoever is second finds a folder there.
    if (!existsSync(path)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return { kind: 'built', path };
}

function lastLine(text: string | null): string {
  return (text ?? '').trim().split('\n').at(-1) || 'no answer in time';
}

function hashOfSources(goVersion: string): string {
  const hash = createHash('sha256').update(goVersion);
  for (const name of readdirSync(sources).sort()) hash.update(`${name}\n`).update(readFileSync(join(sources, name)));
  return hash.digest('hex').slice(0, 16);
}

function goBuild(output: string, [, version, major, minor]: RegExpExecArray): Promise<void> {
  const stamps = [
    `k8s.io/component-base/version.gitVersion=${version}`,
    `k8s.io/component-base/version.gitMajor=${major}`,
    `k8s.io/component-base/version.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=${version}`,
  ];
  const linker = ['-s', '-w', ...stamps.flatMap((stamp) => ['-X', stamp])].join(' ');
  const args = ['build', '-v', '-trimpath', '-buildvcs=false', '-ldflags', linker, '-o', output, '.'];
  console.error(`building Kubernetes ${version} (once; 8 to 15 minutes when nothing of it is compiled yet)`);
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

if (import.meta.main) {
  const server = await buildKubernetesServer();
  if (server.kind === 'built') console.log(server.path);
  else console.error(`skip  Kubernetes' own server: ${server.reason}`);
}
