/** Keeps our plugin in the node's CNI configuration: installed, put back when somebody else writes there, and taken out at the end. */
import { watch } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { hasPlugin, listFileOf, networkFiles, withoutPlugin, withPlugin, type ChainOptions } from './conflist.ts';
import { installLauncher, removeLauncher, type LauncherOptions } from './launcher.ts';

export interface InstallerOptions {
  /** The node's folder of network configurations, as we see it. */
  readonly confDir: string;
  /** The node's folder for the plugin; `runDir` is where it finds our socket, on the node. */
  readonly launcher: LauncherOptions;
  readonly chain: ChainOptions;
  /**
   * A list of our own before all others, with the node's plugins and ours: theirs stays as it is, and after a reboot no pod starts
   * without us. Where the name of one comes before that of ours, it is chained into that.
   */
  readonly ownConfig: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly onInstall?: (result: 'success' | 'failure') => void;
}

export const ownConfigName = '02-istio-cni.conflist';
const savedSuffix = '.ambit-saved';
const checkMs = 10_000;
/** A folder that changes in bursts is looked at once. */
const settleMs = 100;
const warnMs = 60_000;

export class CniInstaller {
  readonly #options: InstallerOptions;
  readonly #stop = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #cancelSettle: (() => void) | undefined;
  #cancelCheck: (() => void) | undefined;
  #warnedAtMs = -Infinity;
  #installed = false;

  constructor(options: InstallerOptions) {
    this.#options = options;
  }

  /** Whether the configuration was right when it was last looked at. */
  get installed(): boolean {
    return this.#installed;
  }

  /** Installs, and goes on watching. Failures are logged and tried again. */
  async start(): Promise<void> {
    await mkdir(this.#options.confDir, { recursive: true }).catch(() => {});
    await this.#check();
    try {
      const watcher = watch(this.#options.confDir, { signal: this.#stop.signal, persistent: false }, () => {
        this.#cancelSettle ??= this.#options.clock.after(settleMs, () => {
          this.#cancelSettle = undefined;
          void this.#check();
        });
      });
      watcher.on('error', (error) => this.#warn('cannot watch the CNI configuration', error));
    } catch (error) {
      this.#warn('cannot watch the CNI configuration', error);
    }
    this.#scheduleCheck();
  }

  /** Stops watching. What is installed stays: pods that want the mesh then wait for the next agent. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancelSettle?.();
    this.#cancelCheck?.();
    await this.#work;
  }

  /** Takes everything out again: the mesh leaves this node. */
  async uninstall(): Promise<void> {
    await this.close();
    const { confDir, launcher, log } = this.#options;
    await rm(join(confDir, ownConfigName), { force: true });
    for (const name of networkFiles(await readdir(confDir).catch(() => []))) {
      try {
        const rest = withoutPlugin(await readFile(join(confDir, name), 'utf8'));
        if (rest === undefined) continue;
        const saved = (await readdir(confDir)).find(
          (file) => file.endsWith(savedSuffix) && listFileOf(file.slice(0, -savedSuffix.length)) === name,
        );
        if (saved === undefined) {
          await replaceFile(join(confDir, name), rest);
        } else {
          await rename(join(confDir, saved), join(confDir, saved.slice(0, -savedSuffix.length)));
          await rm(join(confDir, name));
        }
      } catch (error) {
        log.warn('cannot take the plugin out of a CNI configuration', { file: name, error: messageOf(error) });
      }
    }
    // Last: a pod that is set up meanwhile still finds what its configuration names.
    await removeLauncher(launcher.binDir);
    log.info('the CNI plugin was removed');
  }

  #scheduleCheck(): void {
    this.#cancelCheck = this.#options.clock.after(checkMs, () => {
      void this.#check().then(() => {
        if (!this.#stop.signal.aborted) this.#scheduleCheck();
      });
    });
  }

  #check(): Promise<void> {
    this.#work = this.#work.then(async () => {
      if (this.#stop.signal.aborted) return;
      try {
        await this.#install();
        this.#installed = true;
      } catch (error) {
        this.#installed = false;
        this.#options.onInstall?.('failure');
        this.#warn('cannot install the CNI plugin', error);
      }
    });
    return this.#work;
  }

  async #install(): Promise<void> {
    const { launcher, chain, ownConfig, log, onInstall } = this.#options;
    let changed = await installLauncher(launcher);
    changed = (ownConfig ? await this.#writeOwn(chain) : await this.#chainIntoFirst(chain)) || changed;
    if (!changed) return;
    onInstall?.('success');
    if (this.#installed) this.#warn('the CNI configuration was changed by somebody else, and put right');
    else log.info('the CNI plugin is installed');
  }

  async #first(): Promise<string> {
    const { confDir } = this.#options;
    const [first] = networkFiles(await readdir(confDir)).filter((name) => name !== ownConfigName);
    if (first === undefined) throw new Error(`there is no network configuration in ${confDir} to be chained into`);
    return first;
  }

  async #writeOwn(chain: ChainOptions): Promise<boolean> {
    const { confDir } = this.#options;
    let first: string;
    try {
      first = await this.#first();
    } catch (error) {
      // The node's own network may come back: until then no pod starts, in the mesh or out of it.
      if (hasPlugin(await readFile(join(confDir, ownConfigName), 'utf8').catch(() => ''))) return false;
      throw error;
    }
    // Runtimes take the first file: behind another one ours would not count.
    if (first < ownConfigName) return this.#chainIntoFirst(chain);
    return keepFile(
      join(confDir, ownConfigName),
      withPlugin(await readFile(join(confDir, first), 'utf8'), chain),
      0o600,
    );
  }

  async #chainIntoFirst(chain: ChainOptions): Promise<boolean> {
    const { confDir } = this.#options;
    const first = await this.#first();
    const list = listFileOf(first);
    const changed = await keepFile(
      join(confDir, list),
      withPlugin(await readFile(join(confDir, first), 'utf8'), chain),
      0o600,
    );
    // "10-x.conf" sorts before "10-x.conflist": it would still be the one that counts.
    if (list !== first) await rename(join(confDir, first), join(confDir, `${first}${savedSuffix}`));
    await rm(join(confDir, ownConfigName), { force: true });
    return changed || list !== first;
  }

  /** Two writers that correct each other must not fill the log. */
  #warn(message: string, error?: unknown): void {
    const nowMs = this.#options.clock.nowMs();
    const fields = error === undefined ? {} : { error: messageOf(error) };
    if (nowMs - this.#warnedAtMs < warnMs) return this.#options.log.debug(message, fields);
    this.#warnedAtMs = nowMs;
    this.#options.log.warn(message, fields);
  }
}

/** Resolves to whether it had to be written. */
async function keepFile(path: string, text: string, mode: number): Promise<boolean> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return false;
  await replaceFile(path, text, mode);
  return true;
}

/** A runtime that reads meanwhile sees the old file or the new one. The name in between is no configuration. */
async function replaceFile(path: string, text: string, mode = 0o600): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
}
