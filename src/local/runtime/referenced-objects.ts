/** ConfigMaps and Secrets that pods of this node refer to: each read once however many pods ask, and followed while any does. */
import { kinds, type ConfigMap, type KindRef, type KubeObject, type Secret } from '../../api/index.ts';
import type { Log } from '../../lib/log.ts';
import { isKubeError, startInformer, type KubeClient } from '../../kube/index.ts';

export interface Followed<T> {
  /** The object as it was last seen; undefined when it is not there, or not read yet. */
  get(): T | undefined;
  release(): void;
}

export interface ReferencedObjectsOptions {
  readonly client: KubeClient;
  readonly log: Log;
}

interface Entry<T extends KubeObject> {
  object: T | undefined;
  readonly listeners: Set<() => void>;
  readonly stop: AbortController;
}

export class ReferencedObjects {
  readonly #options: ReferencedObjectsOptions;
  readonly #configMaps = new Map<string, Entry<ConfigMap>>();
  readonly #secrets = new Map<string, Entry<Secret>>();

  constructor(options: ReferencedObjectsOptions) {
    this.#options = options;
  }

  /** `onChange` is called after each change, not for what is known already. */
  followConfigMap(namespace: string, name: string, onChange: () => void): Followed<ConfigMap> {
    return follow(this.#configMaps, `${namespace}/${name}`, onChange, (entry) =>
      this.#watch(kinds.ConfigMap, namespace, name, entry),
    );
  }

  /** Like `followConfigMap`. A node may watch the Secrets that its pods refer to, each by its name. */
  followSecret(namespace: string, name: string, onChange: () => void): Followed<Secret> {
    return follow(this.#secrets, `${namespace}/${name}`, onChange, (entry) =>
      this.#watch(kinds.Secret, namespace, name, entry),
    );
  }

  /** Reads one object now; undefined when it is not there. */
  async read<T extends KubeObject>(kind: KindRef<T>, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.#options.client.get(kind, name, namespace);
    } catch (error) {
      if (isKubeError(error) && error.status === 404) return undefined;
      throw error;
    }
  }

  #watch<T extends KubeObject>(kind: KindRef<T>, namespace: string, name: string, entry: Entry<T>): void {
    const set = (object: T | undefined): void => change(entry, object);
    startInformer<T>(this.#options.client, kind, {
      namespace,
      fieldSelector: `metadata.name=${name}`,
      signal: entry.stop.signal,
      log: this.#options.log,
      onAdd: set,
      onUpdate: (_, after) => set(after),
      onDelete: () => set(undefined),
    });
  }
}

function follow<T extends KubeObject>(
  entries: Map<string, Entry<T>>,
  key: string,
  onChange: () => void,
  start: (entry: Entry<T>) => void,
): Followed<T> {
  let entry = entries.get(key);
  if (!entry) {
    entry = { object: undefined, listeners: new Set(), stop: new AbortController() };
    entries.set(key, entry);
    start(entry);
  }
  const followed = entry;
  // Two volumes of one pod may pass the same function.
  const listener = (): void => onChange();
  followed.listeners.add(listener);
  return {
    get: () => followed.object,
    release() {
      followed.listeners.delete(listener);
      if (followed.listeners.size > 0) return;
      followed.stop.abort();
      if (entries.get(key) === followed) entries.delete(key);
    },
  };
}

function change<T extends KubeObject>(entry: Entry<T>, object: T | undefined): void {
  entry.object = object;
  for (const listener of entry.listeners) listener();
}
