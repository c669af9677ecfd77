/** A local copy of one kind, kept right by list and watch: what everything else derives from. */
import type { KindRef, KubeObject } from '../api/index.ts';
import { createBackoff, type BackoffOptions } from '../lib/backoff.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import type { InformerMetrics } from './informer-metrics.ts';
import { ObjectStore, type ObjectHandlers } from './object-store.ts';
import { Reflector, type ReflectorPhase, type Selection } from './reflector.ts';

export { objectKey } from './object-store.ts';

export interface InformerOptions<T extends KubeObject> extends Selection, ObjectHandlers<T> {
  /** Ends the informer; nothing else does. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly metrics?: InformerMetrics;
  /** Between failed lists and watches; default 250 ms doubling to 5 s, half of it random. */
  readonly backoff?: BackoffOptions;
  /** Asked of the server for each watch; default 240 to 360 s, so that a fleet does not come back at once. */
  readonly watchTimeoutSeconds?: number;
  /** How long a server that sends bookmarks may be silent; default 150 s, two and a half of kube-apiserver's intervals. */
  readonly maxSilenceMs?: number;
  /** How long a watch may outlive the time that it was asked for; default 20 s. */
  readonly overdueMs?: number;
  /** Ask for the list as a stream (WatchList); a server that does not know it is asked for pages. Default true. */
  readonly streamsLists?: boolean;
  /** Objects a page; default 500. */
  readonly pageSize?: number;
  /** A server that does not know the kind has none of it: `synced` resolves, and it is asked again. Default false. */
  readonly isOptional?: boolean;
  /** Longest line of a watch, which is one object; default 16 MiB. */
  readonly maxLineBytes?: number;
}

export interface InformerHealth {
  readonly phase: ReflectorPhase;
  readonly isSynced: boolean;
  /** Since the server last did what it was asked. */
  readonly failures: number;
  /** When anything last came, in milliseconds since 1970; a bookmark is enough. */
  readonly lastHeardMs: number | undefined;
  /** Everything up to here is in the store. */
  readonly resourceVersion: string | undefined;
}

export interface Informer<T extends KubeObject> {
  /** By `namespace/name`, or `name` for cluster-scoped kinds. Live: it changes between ticks. */
  readonly store: ReadonlyMap<string, T>;
  /** Resolves after the first whole list was handed to the handlers; rejects when `signal` aborts before. */
  readonly synced: Promise<void>;
  /** Whether `synced` has resolved. It stays so: later outages are told by `health`. */
  readonly isSynced: boolean;
  health(): InformerHealth;
}

/** Starts to list and watch at once. */
export function startInformer<T extends KubeObject>(
  client: KubeClient,
  kind: KindRef<T>,
  options: InformerOptions<T>,
): Informer<T> {
  const { namespace, labelSelector, fieldSelector, signal, watchTimeoutSeconds } = options;
  const log = options.log.child('informer', { kind: kind.plural });
  const store = new ObjectStore(kind, options, log);
  const sync = Promise.withResolvers<void>();
  let isSynced = false;
  const isReady = (): void => {
    isSynced = true;
    sync.resolve();
  };
  const reflector = new Reflector<T>({
    client,
    kind,
    selection: {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    },
    store,
    signal,
    log,
    backoff: createBackoff(options.backoff ?? { initialMs: 250, maxMs: 5000, jitter: 0.5 }),
    watchTimeoutSeconds: () => watchTimeoutSeconds ?? Math.floor(240 + Math.random() * 120),
    streamsLists: options.streamsLists ?? true,
    pageSize: options.pageSize ?? 500,
    maxSilenceMs: options.maxSilenceMs ?? 150_000,
    overdueMs: options.overdueMs ?? 20_000,
    maxLineBytes: options.maxLineBytes,
    meter: options.metrics?.open(kind),
    onListed: isReady,
    ...(options.isOptional ? { onUnknown: isReady } : {}),
  });
  // Whoever awaits it hears of the abort; nobody has to.
  sync.promise.catch(() => {});
  void reflector.run().then(() => sync.reject(signal.reason));
  return {
    store: store.objects,
    synced: sync.promise,
    get isSynced() {
      return isSynced;
    },
    health: () => ({
      phase: reflector.phase,
      isSynced,
      failures: reflector.failures,
      lastHeardMs: reflector.lastHeardMs,
      resourceVersion: reflector.resourceVersion,
    }),
  };
}
