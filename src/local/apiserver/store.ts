/**
 * Objects with one global revision, group commit and watches.
 *
 * All objects live in memory; SQLite makes them durable. A write runs synchronously against the newest state and is
 * acknowledged, and seen by readers and watchers, only once it is on disk. Writes of one turn of the event loop share a commit.
 */
import type { KubeObject } from '../../api/index.ts';
import { openDatabase, type Change, type Database } from './database.ts';
import { expired } from './status-error.ts';

/** An object as stored. Never changed in place. `metadata.resourceVersion` is `revision` as text. */
export interface Stored {
  /** `<group>/<plural>` */
  readonly resource: string;
  readonly object: KubeObject;
  readonly json: string;
  readonly revision: number;
}

export interface StoreEvent {
  readonly kind: 'added' | 'modified' | 'deleted';
  readonly revision: number;
  /** For `deleted`: the last state, with the deletion's revision. */
  readonly current: Stored;
  readonly previous?: Stored;
}

export type StoreListener = (event: StoreEvent) => void;

/** The newest state, including what is not on disk yet, and the way to change it. */
export interface Transaction {
  get(resource: string, namespace: string, name: string): Stored | undefined;
  list(resource: string, namespace?: string): Stored[];
  /** Creates or replaces; sets `metadata.resourceVersion`. The store keeps `object`: do not change it afterwards. */
  put(resource: string, object: KubeObject): Stored;
  /** Returns the last state with the deletion's revision. The object must exist. */
  remove(resource: string, namespace: string, name: string): Stored;
  /** Every resource that has objects. */
  resources(): string[];
}

export interface StoreOptions {
  /** SQLite file, or `:memory:`. */
  readonly path: string;
  /** Events kept for watches that resume; older revisions get 410. Default 4096. */
  readonly eventCapacity?: number;
}

interface Waiter {
  readonly events: readonly StoreEvent[];
  settle(error?: unknown): void;
}

export class ObjectStore {
  readonly #db: Database;
  readonly #eventCapacity: number;
  readonly #committed = new Map<string, Map<string, Stored>>();
  /** Written but not on disk; `undefined` is a removal. */
  readonly #pending = new Map<string, Map<string, Stored | undefined>>();
  readonly #listeners = new Map<string, Set<StoreListener>>();
  #events: StoreEvent[] = [];
  /** Events at or before this revision are gone. */
  #compacted: number;
  #revision: number;
  #nextRevision: number;
  #batch: Waiter[] = [];
  #flushScheduled = false;

  private constructor(db: Database, options: StoreOptions) {
    this.#db = db;
    this.#eventCapacity = options.eventCapacity ?? 4096;
    this.#revision = db.readRevision();
    this.#nextRevision = this.#revision;
    this.#compacted = this.#revision;
    for (const row of db.readAll()) {
      const object = JSON.parse(row.json) as KubeObject;
      const stored: Stored = {
        resource: row.resource,
        object,
        json: row.json,
        revision: Number(object.metadata.resourceVersion),
      };
      bucket(this.#committed, row.resource).set(keyOf(row.namespace, row.name), stored);
    }
  }

  /** Opens the file and loads it. The caller closes the store. Throws `apiserver.storage`. */
  static open(options: StoreOptions): ObjectStore {
    return new ObjectStore(openDatabase(options.path), options);
  }

  /** The last durable revision. */
  get revision(): number {
    return this.#revision;
  }

  get(resource: string, namespace: string, name: string): Stored | undefined {
    return this.#committed.get(resource)?.get(keyOf(namespace, name));
  }

  /** Sorted by namespace, then name. */
  list(resource: string, namespace?: string): Stored[] {
    return sorted([...(this.#committed.get(resource)?.values() ?? [])], namespace);
  }

  /**
   * Runs `plan` at once; resolves with its result when its changes are durable. What `plan` throws rejects, and nothing
   * of it is kept. Plans see the changes of earlier plans.
   */
  write<T>(plan: (transaction: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { result, events } = this.#run(plan);
      if (events.length === 0 && this.#batch.length === 0) return resolve(result);
      for (const event of events) this.#stage(event);
      this.#batch.push({ events, settle: (error) => (error === undefined ? resolve(result) : reject(error)) });
      if (this.#flushScheduled) return;
      this.#flushScheduled = true;
      setImmediate(() => this.#flush());
    });
  }

  /** Runs `plan` on the newest state and forgets its changes. */
  dryRun<T>(plan: (transaction: Transaction) => T): T {
    const next = this.#nextRevision;
    try {
      return this.#run(plan).result;
    } finally {
      this.#nextRevision = next;
    }
  }

  /**
   * Calls `listener` for each event of `resource` after `fromRevision`, in order: the kept ones before this returns, then
   * live ones. Returns the cancellation. Throws 410 Expired when events since `fromRevision` are gone, and for a revision
   * that this store never had: it belongs to another one.
   */
  watch(resource: string, fromRevision: number, listener: StoreListener): () => void {
    if (fromRevision < this.#compacted || fromRevision > this.#revision) throw expired(fromRevision, this.#compacted);
    for (const event of this.#events) {
      if (event.revision > fromRevision && event.current.resource === resource) listener(event);
    }
    const set = this.#listeners.get(resource) ?? new Set();
    this.#listeners.set(resource, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  /** Writes what is pending and closes the file. */
  close(): void {
    if (this.#batch.length > 0) this.#flush();
    this.#db.close();
  }

  #run<T>(plan: (transaction: Transaction) => T): { result: T; events: StoreEvent[] } {
    const firstRevision = this.#nextRevision;
    const own = new Map<string, Map<string, Stored | undefined>>();
    const events: StoreEvent[] = [];
    const get = (resource: string, namespace: string, name: string): Stored | undefined => {
      const key = keyOf(namespace, name);
      for (const overlay of [own, this.#pending]) {
        const staged = overlay.get(resource);
        if (staged?.has(key)) return staged.get(key);
      }
      return this.#committed.get(resource)?.get(key);
    };
    const transaction: Transaction = {
      get,
      list: (resource, namespace) => {
        const merged = new Map<string, Stored | undefined>(this.#committed.get(resource));
        for (const overlay of [this.#pending, own])
          for (const [key, value] of overlay.get(resource) ?? []) merged.set(key, value);
        return sorted(
          [...merged.values()].filter((stored) => stored !== undefined),
          namespace,
        );
      },
      put: (resource, object) => {
        const { namespace = '', name = '' } = object.metadata;
        const previous = get(resource, namespace, name);
        const stored = toStored(resource, object, ++this.#nextRevision);
        bucket(own, resource).set(keyOf(namespace, name), stored);
        events.push({
          kind: previous ? 'modified' : 'added',
          revision: stored.revision,
          current: stored,
          ...(previous && { previous }),
        });
        return stored;
      },
      remove: (resource, namespace, name) => {
        const previous = get(resource, namespace, name);
        if (!previous) throw new Error(`Nothing to remove at ${resource} ${keyOf(namespace, name)}`);
        const last = { ...previous.object, metadata: { ...previous.object.metadata } };
        const stored = toStored(resource, last, ++this.#nextRevision);
        bucket(own, resource).set(keyOf(namespace, name), undefined);
        events.push({ kind: 'deleted', revision: stored.revision, current: stored, previous });
        return stored;
      },
      resources: () => [...new Set([...this.#committed.keys(), ...this.#pending.keys(), ...own.keys()])],
    };
    try {
      return { result: plan(transaction), events };
    } catch (error) {
      this.#nextRevision = firstRevision;
      throw error;
    }
  }

  #stage(event: StoreEvent): void {
    const { resource, object } = event.current;
    const key = keyOf(object.metadata.namespace ?? '', object.metadata.name ?? '');
    bucket(this.#pending, resource).set(key, event.kind === 'deleted' ? undefined : event.current);
  }

  #flush(): void {
    this.#flushScheduled = false;
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length === 0) return;
    const events = batch.flatMap((waiter) => waiter.events);
    this.#pending.clear();
    try {
      this.#db.commit(events.map(changeOf), this.#nextRevision);
    } catch (error) {
      this.#nextRevision = this.#revision;
      for (const waiter of batch) waiter.settle(error);
      return;
    }
    this.#revision = this.#nextRevision;
    for (const event of events) this.#apply(event);
    for (const waiter of batch) waiter.settle();
  }

  #apply(event: StoreEvent): void {
    const { resource, object } = event.current;
    const key = keyOf(object.metadata.namespace ?? '', object.metadata.name ?? '');
    if (event.kind === 'deleted') this.#committed.get(resource)?.delete(key);
    else bucket(this.#committed, resource).set(key, event.current);
    this.#events.push(event);
    // Dropping the older half at once keeps the cost per event constant.
    if (this.#events.length > this.#eventCapacity) {
      const kept = this.#events.slice(-Math.ceil(this.#eventCapacity / 2));
      this.#compacted = (kept[0]?.revision ?? event.revision + 1) - 1;
      this.#events = kept;
    }
    for (const listener of this.#listeners.get(resource) ?? []) listener(event);
  }
}

function toStored(resource: string, object: KubeObject, revision: number): Stored {
  object.metadata.resourceVersion = String(revision);
  return { resource, object, json: JSON.stringify(object), revision };
}

function changeOf(event: StoreEvent): Change {
  const { resource, object, json } = event.current;
  const row = { resource, namespace: object.metadata.namespace ?? '', name: object.metadata.name ?? '' };
  return event.kind === 'deleted' ? { kind: 'delete', row } : { kind: 'put', row: { ...row, json } };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function bucket<V>(map: Map<string, Map<string, V>>, resource: string): Map<string, V> {
  let inner = map.get(resource);
  if (!inner) map.set(resource, (inner = new Map()));
  return inner;
}

function sorted(items: Stored[], namespace: string | undefined): Stored[] {
  const selected =
    namespace === undefined ? items : items.filter((item) => item.object.metadata.namespace === namespace);
  const key = (item: Stored): string => keyOf(item.object.metadata.namespace ?? '', item.object.metadata.name ?? '');
  return selected.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
