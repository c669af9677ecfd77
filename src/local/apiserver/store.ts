/**
 * Objects with one global revision, group commit and watches.
 *
 * All objects live in memory; SQLite makes them durable. A write runs synchronously against the newest state and is
 * acknowledged, and seen by readers and watchers, only once it is on disk. Writes of one turn of the event loop share a commit.
 */
import type { KubeObject } from '../../api/index.ts';
import { openDatabase, type Change, type Database } from './database.ts';
import { EventHistory } from './event-history.ts';
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
  /** Events kept for watches that resume; older revisions get 410. Default 8192. */
  readonly eventCapacity?: number;
}

/** JSON of the events kept; their objects take a few times that in memory. */
const maxHistoryBytes = 32 * 1024 * 1024;

interface Waiter {
  readonly events: readonly StoreEvent[];
  settle(error?: unknown): void;
}

export class ObjectStore {
  readonly #db: Database;
  readonly #committed = new Map<string, Map<string, Stored>>();
  /** Written but not on disk; `undefined` is a removal. */
  readonly #pending = new Map<string, Map<string, Stored | undefined>>();
  readonly #listeners = new Map<string, Set<StoreListener>>();
  readonly #history: EventHistory;
  /** Sorted lists of the committed objects, until one of the resource changes. */
  readonly #sorted = new Map<string, Stored[]>();
  #revision: number;
  #nextRevision: number;
  #batch: Waiter[] = [];
  #flushScheduled = false;

  private constructor(db: Database, options: StoreOptions) {
    this.#db = db;
    this.#revision = db.readRevision();
    this.#nextRevision = this.#revision;
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
    const bounds = { events: options.eventCapacity ?? 8192, bytes: maxHistoryBytes };
    this.#history = new EventHistory(eventsOf(db, this.#committed), db.readCompacted(), bounds);
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
    let all = this.#sorted.get(resource);
    if (!all) {
      all = sorted([...(this.#committed.get(resource)?.values() ?? [])]);
      this.#sorted.set(resource, all);
    }
    return inNamespace(all, namespace);
  }

  /** Like `list`, as it was at a revision. Throws 410 Expired when that is out of the window. */
  listAt(resource: string, namespace: string | undefined, revision: number): Stored[] {
    if (revision === this.#revision) return this.list(resource, namespace);
    if (revision < this.#history.compacted || revision > this.#revision) {
      throw expired(revision, this.#history.compacted);
    }
    return inNamespace(sorted(this.#history.rollBack(this.list(resource), resource, revision)), namespace);
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
    for (const event of this.replay(resource, fromRevision)) listener(event);
    const set = this.#listeners.get(resource) ?? new Set();
    this.#listeners.set(resource, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  /** The kept events of `resource` after a revision. Throws as `watch` does. The store must not be written to meanwhile. */
  replay(resource: string, fromRevision: number): Iterable<StoreEvent> {
    const { compacted } = this.#history;
    if (fromRevision < compacted || fromRevision > this.#revision) throw expired(fromRevision, compacted);
    return this.#history.after(fromRevision, resource);
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
        const present = [...merged.values()].filter((stored) => stored !== undefined);
        return inNamespace(sorted(present), namespace);
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
      this.#db.commit(events.map(changeOf), this.#nextRevision, this.#history.compacted);
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
    this.#sorted.delete(resource);
    this.#history.add(event);
    for (const listener of this.#listeners.get(resource) ?? []) listener(event);
  }
}

function toStored(resource: string, object: KubeObject, revision: number): Stored {
  object.metadata.resourceVersion = String(revision);
  return { resource, object, json: JSON.stringify(object), revision };
}

function changeOf({ kind, revision, current, previous }: StoreEvent): Change {
  const { resource, object, json } = current;
  const { namespace = '', name = '' } = object.metadata;
  return {
    kind,
    revision,
    row: { resource, namespace, name, json },
    ...(previous && { previous: { revision: previous.revision, json: previous.json } }),
  };
}

/** The window as it was when the file was last written. Objects that are still as an event left them are shared. */
function eventsOf(db: Database, committed: ReadonlyMap<string, ReadonlyMap<string, Stored>>): StoreEvent[] {
  const newest = new Map<number, Stored>();
  for (const objects of committed.values()) for (const stored of objects.values()) newest.set(stored.revision, stored);
  const compacted = db.readCompacted();
  const states = new Map<number, Stored>();
  const events: StoreEvent[] = [];
  for (const { revision, kind, resource, json, previous: before } of db.readHistory()) {
    const object = newest.get(revision)?.object ?? (JSON.parse(json) as KubeObject);
    const current: Stored = newest.get(revision) ?? { resource, object, json, revision };
    states.set(revision, current);
    if (kind === 'state' || revision <= compacted) continue;
    const previous = states.get(before);
    events.push({ kind, revision, current, ...(previous && { previous }) });
  }
  return events;
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function bucket<V>(map: Map<string, Map<string, V>>, resource: string): Map<string, V> {
  let inner = map.get(resource);
  if (!inner) map.set(resource, (inner = new Map()));
  return inner;
}

function sorted(items: readonly Stored[]): Stored[] {
  const keyed = items.map((item) => ({ item, key: listKeyOf(item.object) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}

/** The order of lists: by namespace, then by name. */
export function listKeyOf({ metadata }: KubeObject): string {
  return keyOf(metadata.namespace ?? '', metadata.name ?? '');
}

function inNamespace(items: Stored[], namespace: string | undefined): Stored[] {
  return namespace === undefined ? items : items.filter((item) => item.object.metadata.namespace === namespace);
}
