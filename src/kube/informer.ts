/** A local copy of one kind, kept right by list and watch: the reflector that everything else derives from. */
import type { KindRef, KubeObject, KubeStatus } from '../api/index.ts';
import { createBackoff, type BackoffOptions } from '../lib/backoff.ts';
import { sleep } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import { createJsonLines } from './json-lines.ts';
import { isKubeError } from './kube-error.ts';
import { resourcePath } from './resource-path.ts';

export interface InformerOptions<T extends KubeObject> {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Ends the informer; nothing else does. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Handlers are called one at a time, in the order of the watch; what they throw is logged. */
  readonly onAdd?: (object: T) => void;
  readonly onUpdate?: (before: T, after: T) => void;
  readonly onDelete?: (object: T) => void;
  /** Applied before an object is stored; default `dropManagedFields`. Store as little as you can. */
  readonly transform?: (object: T) => T;
  /** Between failed lists and watches; default 250 ms doubling to 5 s. */
  readonly backoff?: BackoffOptions;
  /** Asked of the server for each watch; default 240 to 360 s. */
  readonly watchTimeoutSeconds?: number;
}

export interface Informer<T extends KubeObject> {
  /** By `namespace/name`, or `name` for cluster-scoped kinds. Live: it changes between ticks. */
  readonly store: ReadonlyMap<string, T>;
  /** Resolves after the first whole list was handed to the handlers; rejects when `signal` aborts before. */
  readonly synced: Promise<void>;
}

/** `namespace/name`, or `name`. */
export function objectKey(object: KubeObject): string {
  const { namespace, name = '' } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

/** The default transform: bookkeeping of server-side apply, which is often most of an object. */
export function dropManagedFields<T extends KubeObject>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}

/** Starts to list and watch at once. */
export function startInformer<T extends KubeObject>(
  client: KubeClient,
  kind: KindRef<T>,
  options: InformerOptions<T>,
): Informer<T> {
  const reflector = new Reflector(client, kind, options);
  void reflector.run();
  return reflector;
}

type WatchEnd = 'again' | 'relist';

class Reflector<T extends KubeObject> implements Informer<T> {
  readonly store: Map<string, T> = new Map();
  readonly synced: Promise<void>;
  readonly #client: KubeClient;
  readonly #kind: KindRef<T>;
  readonly #options: InformerOptions<T>;
  readonly #log: Log;
  readonly #sync: PromiseWithResolvers<void> = Promise.withResolvers();
  #resourceVersion = '';

  constructor(client: KubeClient, kind: KindRef<T>, options: InformerOptions<T>) {
    this.#client = client;
    this.#kind = kind;
    this.#options = options;
    this.#log = options.log.child('informer', { kind: kind.plural });
    this.synced = this.#sync.promise;
    // Whoever awaits it hears of the abort; nobody has to.
    this.synced.catch(() => {});
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const backoff = createBackoff(this.#options.backoff ?? { initialMs: 250, maxMs: 5000, jitter: 0.5 });
    let listed = false;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (!listed) {
          await this.#relist();
          listed = true;
          this.#sync.resolve();
        }
        const startedAtMs = performance.now();
        const { end, events } = await this.#watch(() => {
          if (failures > 0) this.#log.info('watching again', { failures });
          failures = 0;
        });
        if (end === 'relist') listed = false;
        // A server that ends every watch at once must not be asked in a tight loop.
        if (events > 0 || performance.now() - startedAtMs > 1000) backoff.reset();
        else await sleep(backoff.next(), signal);
      } catch (error) {
        if (signal.aborted) break;
        if (isExpired(error)) {
          listed = false;
          this.#log.info('relisting: the watch is too old', { resourceVersion: this.#resourceVersion });
          if (failures++ === 0) continue;
        } else {
          failures++;
          // One line for each outage at warn level, not one for each try.
          const fields = { code: codeOf(error), error: messageOf(error), failures };
          if (failures === 1) this.#log.warn('cannot list or watch, trying again', fields);
          else this.#log.debug('cannot list or watch, trying again', fields);
          if (codeOf(error) === 'kube.bad-stream' || refusesOurPlace(error)) listed = false;
        }
        await sleep(backoff.next(), signal);
      }
    }
    this.#sync.reject(signal.reason);
  }

  /** Brings the store to what the server lists now, and tells the handlers the difference. */
  async #relist(): Promise<void> {
    const { namespace, labelSelector, fieldSelector, signal } = this.#options;
    const list = await this.#client.list(this.#kind, {
      signal,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    });
    const present = new Set((list.items ?? []).map(objectKey));
    for (const [key, object] of this.store) if (!present.has(key)) this.#remove(key, object);
    for (const item of list.items ?? []) this.#put(item);
    this.#resourceVersion = list.metadata.resourceVersion;
  }

  /** Follows one watch, which `onOpen` says was accepted, until the server ends it. Resolves with how to go on. */
  async #watch(onOpen: () => void): Promise<{ end: WatchEnd; events: number }> {
    const { namespace, labelSelector, fieldSelector, signal } = this.#options;
    const timeoutSeconds = this.#options.watchTimeoutSeconds ?? Math.floor(240 + Math.random() * 120);
    const path = resourcePath(this.#kind, {
      namespace,
      query: {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.#resourceVersion,
        timeoutSeconds,
        labelSelector,
        fieldSelector,
      },
    });
    // A server that stopped without closing the connection is given up a little after its own deadline.
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const deadline = setTimeout(
      () => stop.abort(new Error('The watch outlived its deadline')),
      (timeoutSeconds + 20) * 1000,
    );
    deadline.unref();
    let events = 0;
    try {
      const response = await this.#client.raw({ method: 'GET', path, signal: stop.signal });
      onOpen();
      const lines = createJsonLines();
      try {
        for await (const chunk of response.body) {
          for (const value of lines.push(chunk)) {
            if (this.#apply(value as WatchEvent<T>) === 'relist') return { end: 'relist', events };
            events++;
          }
        }
      } finally {
        response.body.destroy();
      }
      return { end: 'again', events };
    } finally {
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #apply(event: WatchEvent<T>): WatchEnd {
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#put(event.object);
        break;
      case 'DELETED': {
        const key = objectKey(event.object);
        if (this.store.has(key)) this.#remove(key, this.#transform(event.object));
        break;
      }
      case 'BOOKMARK':
        break;
      case 'ERROR': {
        const status = event.object as unknown as KubeStatus;
        this.#log.info('relisting: the watch failed', {
          code: status.code,
          reason: status.reason,
          error: status.message,
        });
        return 'relist';
      }
      default:
        // An event type that is not known yet carries nothing that we could miss.
        return 'again';
    }
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
    return 'again';
  }

  #put(object: T): void {
    const key = objectKey(object);
    const before = this.store.get(key);
    const after = this.#transform(object);
    if (before && before.metadata.uid !== after.metadata.uid) this.#remove(key, before);
    else if (before && before.metadata.resourceVersion === after.metadata.resourceVersion) return;
    const known = this.store.get(key);
    this.store.set(key, after);
    this.#call(() => (known ? this.#options.onUpdate?.(known, after) : this.#options.onAdd?.(after)));
  }

  #remove(key: string, last: T): void {
    this.store.delete(key);
    this.#call(() => this.#options.onDelete?.(last));
  }

  #transform(object: T): T {
    return (this.#options.transform ?? dropManagedFields)(object);
  }

  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#log.error('a handler failed', {
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      });
    }
  }
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** The server took offence at the watch itself, perhaps because its storage was set back; being busy is another thing. */
function refusesOurPlace(error: unknown): boolean {
  if (!isKubeError(error)) return false;
  return (error.status >= 400 && error.status < 500 && error.status !== 429) || error.status === 504;
}

function isExpired(error: unknown): boolean {
  return isKubeError(error) && error.status === 410;
}
