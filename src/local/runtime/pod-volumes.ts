/** The volumes of one pod: made before its containers, kept as the API says while it runs, removed with it. */
import type { Stats } from 'node:fs';
import { mkdir, open, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, normalize, sep } from 'node:path';
import type { ConfigMap, Container, Secret, Volume } from '../../api/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { writeAtomicFolder } from './atomic-folder.ts';
import { expand } from './environment.ts';
import type { PodFacts } from './field-path.ts';
import type { PodTokens } from './pod-tokens.ts';
import type { Followed, ReferencedObjects } from './referenced-objects.ts';
import type { VolumeBind } from './root-plan.ts';
import { hasRuntimeFiles, planVolumeFiles, projectionsOf } from './volume-files.ts';

export interface PodVolumesOptions {
  readonly namespace: string;
  /** In memory: what the runtime writes, tokens and Secrets among it. */
  readonly memoryFolder: string;
  /** On disk: empty volumes. */
  readonly diskFolder: string;
  readonly facts: () => PodFacts;
  readonly capacity: Readonly<Record<string, number>>;
  readonly objects: ReferencedObjects;
  readonly tokens: PodTokens;
  readonly log: Log;
  /** Host folders that a host path of the pod may neither be in nor hold. */
  readonly forbidden: readonly string[];
}

/** Tokens and ConfigMaps that were just made take a moment. */
const quietMs = 1_000;
/** O_PATH: only to know what a path leads to. */
const pathOnly = 0o10_000_000;

export class PodVolumes {
  readonly #options: PodVolumesOptions;
  readonly #volumes: readonly Volume[];
  readonly #configMaps = new Map<string, Followed<ConfigMap>>();
  readonly #secrets = new Map<string, Followed<Secret>>();
  #version = 0;
  #writing: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(options: PodVolumesOptions) {
    this.#options = options;
    this.#volumes = options.facts().pod.spec.volumes ?? [];
  }

  /**
   * Resolves when every volume is there. What is missing is waited for; `onMissing` hears of what is still missing after
   * a second, and of each other thing that is missing then. Rejects when `signal` aborts, or when a volume cannot be made.
   */
  async prepare(signal: AbortSignal, onMissing: (message: string) => void): Promise<void> {
    this.#follow();
    for (const volume of this.#volumes) await this.#makeFolder(volume);
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    let isLate = false;
    const late = sleep(quietMs, signal).then(() => (isLate = true));
    let told: string | undefined;
    for (;;) {
      signal.throwIfAborted();
      const changed = new Promise<void>((resolve) => (this.#wake = resolve));
      const missing = await this.#write();
      if (missing === undefined) break;
      if (isLate && told !== missing) onMissing((told = missing));
      await Promise.race(isLate ? [changed, aborted] : [changed, aborted, late]);
    }
    this.#wake = undefined;
  }

  /** What `container` has mounted. Throws `runtime.volume` when a source is not there or leaves its volume. */
  async binds(container: Container, environment: Readonly<Record<string, string>>): Promise<VolumeBind[]> {
    const binds: VolumeBind[] = [];
    for (const mount of container.volumeMounts ?? []) {
      const volume = this.#volumes.find((each) => each.name === mount.name);
      if (!volume) throw volumeError(`volume "${mount.name}" is not defined`);
      const folder = volume.hostPath ? await this.#hostPath(volume, volume.hostPath.path) : this.#path(volume);
      const subPath = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr, environment);
      const inside = subPath ? await this.#subPath(volume, folder, subPath) : undefined;
      const source = inside?.path ?? folder;
      const info = await stat(source).catch((error: unknown) => {
        throw volumeError(`"${source}" of volume "${mount.name}" is not there (${codeOf(error)})`);
      });
      binds.push({
        source,
        target: normalize(mount.mountPath),
        readOnly: mount.readOnly ?? hasRuntimeFiles(volume),
        fromHost: mount.mountPropagation === 'HostToContainer' || mount.mountPropagation === 'Bidirectional',
        isFile: !info.isDirectory(),
        ...(inside ? { identity: inside.identity } : {}),
      });
    }
    return binds;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const followed of [...this.#configMaps.values(), ...this.#secrets.values()]) followed.release();
    await this.#writing;
    for (const folder of [this.#options.memoryFolder, this.#options.diskFolder]) {
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
        this.#options.log.warn('Cannot remove a volume folder', { folder, error: messageOf(error) });
      });
    }
  }

  /** Writes again what changed; called when a token was renewed. */
  refresh(): void {
    if (this.#closed) return;
    if (this.#wake) this.#wake();
    else void this.#write();
  }

  #follow(): void {
    const { namespace, objects } = this.#options;
    const onChange = (): void => this.refresh();
    for (const source of this.#volumes.flatMap(projectionsOf)) {
      const configMap = source.configMap?.name;
      const secret = source.secret?.name;
      if (configMap !== undefined && !this.#configMaps.has(configMap)) {
        this.#configMaps.set(configMap, objects.followConfigMap(namespace, configMap, onChange));
      }
      if (secret !== undefined && !this.#secrets.has(secret)) {
        this.#secrets.set(secret, objects.followSecret(namespace, secret, onChange));
      }
    }
  }

  /** Writes every volume of ours whose files are known. Resolves to what is missing first. */
  async #write(): Promise<string | undefined> {
    let missing: string | undefined;
    const run = this.#writing.then(async () => {
      for (const volume of this.#volumes) {
        if (this.#closed || !hasRuntimeFiles(volume)) continue;
        const plan = planVolumeFiles({
          volume,
          facts: this.#options.facts(),
          capacity: this.#options.capacity,
          configMap: (name) => this.#configMaps.get(name)?.get(),
          secret: (name) => this.#secrets.get(name)?.get(),
          token: (need) => this.#options.tokens.token(need),
        });
        if (plan.kind === 'ready') await writeAtomicFolder(this.#path(volume), plan.files, ++this.#version);
        else missing ??= `volume "${volume.name}": ${plan.message}`;
      }
    });
    this.#writing = run.catch((error: unknown) => {
      this.#options.log.error('Cannot write a volume', { error: messageOf(error) });
    });
    await run;
    return missing;
  }

  async #makeFolder(volume: Volume): Promise<void> {
    const { hostPath } = volume;
    if (!hostPath) {
      if (!hasRuntimeFiles(volume) && !volume.emptyDir)
        throw volumeError(`volume "${volume.name}" is of a kind that is not supported here`);
      const path = this.#path(volume);
      await mkdir(path, { recursive: true, mode: 0o755 });
      return;
    }
    await this.#hostPath(volume, hostPath.path);
    const found = await stat(hostPath.path).catch(() => undefined);
    const fault = found && hostPathFault(hostPath.type ?? '', found);
    if (fault) throw volumeError(`host path "${hostPath.path}" of volume "${volume.name}" is not ${fault}`);
    switch (hostPath.type ?? '') {
      case '':
      case 'DirectoryOrCreate':
        if (!found) await mkdir(hostPath.path, { recursive: true, mode: 0o755 });
        break;
      case 'FileOrCreate':
        if (!found) await mkdir(dirname(hostPath.path), { recursive: true }).then(() => writeFile(hostPath.path, ''));
        break;
      default:
        if (!found) throw volumeError(`host path "${hostPath.path}" of volume "${volume.name}" is not there`);
    }
  }

  /** The folder without links in it. Pods are kept apart: none mounts the mesh's own state, sockets or namespaces, by whatever name. */
  async #hostPath(volume: Volume, path: string): Promise<string> {
    const real = await realFolder(normalize(path));
    const within = (inner: string, outer: string): boolean =>
      inner === outer || outer === '/' || inner.startsWith(`${outer}/`);
    const clash = this.#options.forbidden.find((each) => within(real, each) || within(each, real));
    if (clash === undefined) return real;
    throw volumeError(
      `host path "${path}" of volume "${volume.name}" is kept from pods, as it is in or holds ${clash}`,
    );
  }

  #path(volume: Volume): string {
    if (volume.hostPath) return normalize(volume.hostPath.path);
    const onDisk = volume.emptyDir && volume.emptyDir.medium !== 'Memory';
    return join(onDisk ? this.#options.diskFolder : this.#options.memoryFolder, volume.name);
  }

  /** A path inside a volume, with links resolved and made if it is not there; never outside the volume. */
  async #subPath(volume: Volume, folder: string, subPath: string): Promise<{ path: string; identity: string }> {
    if (subPath.startsWith('/') || subPath.split('/').includes('..'))
      throw volumeError(`subPath "${subPath}" must stay inside its volume`);
    const path = join(folder, subPath);
    if (!hasRuntimeFiles(volume)) {
      await mkdir(path, { recursive: true }).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
    }
    const root = await realpath(folder);
    // Opened, it stays what it is; where it lies is asked then.
    const opened = await open(path, pathOnly).catch((error: unknown) => {
      throw volumeError(`subPath "${subPath}" of volume "${volume.name}" is not there (${codeOf(error)})`);
    });
    try {
      const real = await readlink(`/proc/self/fd/${opened.fd}`);
      if (real !== root && !real.startsWith(root + sep))
        throw volumeError(`subPath "${subPath}" leads out of its volume`);
      const { dev, ino } = await opened.stat({ bigint: true });
      return { path: real, identity: `${dev}:${ino}` };
    } finally {
      await opened.close();
    }
  }
}

/** The path with links resolved, as far as it is there. */
async function realFolder(path: string): Promise<string> {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') : path;
  try {
    return await realpath(trimmed);
  } catch {
    return trimmed === '/' ? trimmed : join(await realFolder(dirname(trimmed)), basename(trimmed));
  }
}

/** What a host path is not, though its type says so; undefined when it is as it should be. */
function hostPathFault(type: string, found: Stats): string | undefined {
  switch (type) {
    case 'Directory':
    case 'DirectoryOrCreate':
      return found.isDirectory() ? undefined : 'a directory';
    case 'File':
    case 'FileOrCreate':
      return found.isFile() ? undefined : 'a file';
    case 'Socket':
      return found.isSocket() ? undefined : 'a socket';
    case 'CharDevice':
      return found.isCharacterDevice() ? undefined : 'a character device';
    case 'BlockDevice':
      return found.isBlockDevice() ? undefined : 'a block device';
    default:
      return undefined;
  }
}

function volumeError(state: string): AmbitError {
  return new AmbitError(`Cannot mount: ${state}`, { code: 'runtime.volume', blame: 'downstream' });
}
