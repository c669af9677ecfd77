/** Pods of a node that come from manifest files, not from the API: what the mesh itself needs to run. */
import { createHash } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import type { Pod } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

/** Marks the API's copy of a static pod; its value is the hash of the manifest. */
export const mirrorAnnotation = 'kubernetes.io/config.mirror';
const hashAnnotation = 'kubernetes.io/config.hash';
export const sourceAnnotation = 'kubernetes.io/config.source';

/** Looked at this often besides on every change, because a notification can be lost. */
const pollMs = 5_000;
const settleMs = 50;

export interface StaticPod {
  readonly hash: string;
  /** As it is written to the API: named, placed on the node, with the mirror annotations. */
  readonly pod: Pod;
}

export interface StaticPodsOptions {
  readonly folder: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Every static pod there is now, by `namespace/name`; called when that changed. */
  readonly onChange: (pods: ReadonlyMap<string, StaticPod>) => void;
}

/** A manifest as a static pod. Throws when it is no Pod with a name. */
export function parseStaticPod(text: string, nodeName: string): StaticPod {
  const manifest = load(text) as Partial<Pod> | null;
  if (manifest?.kind !== 'Pod' || !manifest.metadata?.name || !manifest.spec?.containers) {
    throw new Error('it holds no Pod with a name and containers');
  }
  const hash = createHash('sha256').update(`${nodeName}\n${text}`).digest('hex').slice(0, 32);
  const { name, namespace = 'default', labels, annotations } = manifest.metadata;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, [mirrorAnnotation]: hash, [hashAnnotation]: hash, [sourceAnnotation]: 'file' },
    },
    spec: { ...manifest.spec, nodeName },
  };
  return { hash, pod };
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  #watcher: FSWatcher | undefined;
  #cancel: (() => void) | undefined;
  #known = '';
  #closed = false;

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    try {
      this.#watcher = watch(this.#options.folder, () => this.#schedule(settleMs));
      this.#watcher.on('error', () => {});
      this.#watcher.unref();
    } catch (error) {
      this.#options.log.debug('Cannot watch the manifests, polling them', { error: messageOf(error) });
    }
    await this.#read();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#cancel?.();
  }

  #schedule(delayMs: number): void {
    this.#cancel?.();
    if (!this.#closed) this.#cancel = this.#options.clock.after(delayMs, () => void this.#read());
  }

  async #read(): Promise<void> {
    const { folder, nodeName, log } = this.#options;
    const pods = new Map<string, StaticPod>();
    try {
      const names = (await readdir(folder)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
      for (const name of names) {
        try {
          const parsed = parseStaticPod(await readFile(join(folder, name), 'utf8'), nodeName);
          pods.set(`${parsed.pod.metadata.namespace}/${parsed.pod.metadata.name}`, parsed);
        } catch (error) {
          log.warn('Cannot use a static pod manifest', { file: name, error: messageOf(error) });
        }
      }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT')
        log.warn('Cannot read the static pod manifests', { folder, error: messageOf(error) });
    }
    const summary = [...pods].map(([key, { hash }]) => `${key} ${hash}`).join('\n');
    if (summary !== this.#known) {
      this.#known = summary;
      this.#options.onChange(pods);
    }
    this.#schedule(pollMs);
  }
}
