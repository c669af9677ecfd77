/** What every node of a graph of collections shares: settled values, the changes of the running flush, listeners. */
import type { Change, Changes, Collection, Index, Source } from './model.ts';

/** A step of the flush. Nodes settle in the order of their creation, which is an order of dependency. */
export interface Settling {
  readonly name: string;
  /** Brings the node up to date with the nodes before it. */
  settle(): void;
  /** What changed in the running flush, by the key that readers name: own keys, or index keys. */
  changedKeys(): Iterable<string>;
  hasChanges(): boolean;
  /** Tells the listeners; called when every node has settled. */
  emit(report: (error: unknown) => void): void;
  /** Forgets the changes of the flush. */
  clear(): void;
}

export class CollectionNode<V> implements Collection<V>, Settling {
  readonly name: string;
  readonly #values: Map<string, V> = new Map();
  readonly #listeners: Set<(changes: Changes<V>) => void> = new Set();
  readonly #equals: (a: V, b: V) => boolean;
  readonly #settle: (node: CollectionNode<V>) => void;
  #changes: Map<string, Change<V>> = new Map();

  /** `settle` writes what is to change in a flush. */
  constructor(name: string, equals: (a: V, b: V) => boolean, settle: (node: CollectionNode<V>) => void) {
    this.name = name;
    this.#equals = equals;
    this.#settle = settle;
  }

  settle(): void {
    this.#settle(this);
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  entries(): IterableIterator<[string, V]> {
    return this.#values.entries();
  }

  subscribe(listener: (changes: Changes<V>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changes(): Changes<V> {
    return this.#changes;
  }

  changedKeys(): Iterable<string> {
    return this.#changes.keys();
  }

  hasChanges(): boolean {
    return this.#changes.size > 0;
  }

  emit(report: (error: unknown) => void): void {
    if (this.#changes.size === 0) return;
    for (const listener of this.#listeners) {
      try {
        listener(this.#changes);
      } catch (error) {
        report(error);
      }
    }
  }

  clear(): void {
    // A new map: listeners may keep the old one.
    if (this.#changes.size > 0) this.#changes = new Map();
  }

  /** Sets or (with undefined) removes a settled value; an equal value is no change. */
  write(key: string, after: V | undefined): void {
    const now = this.#values.get(key);
    if (now === undefined ? after === undefined : after !== undefined && this.#equals(now, after)) return;
    const noted = this.#changes.get(key);
    const before = noted ? noted.before : now;
    if (after === undefined) this.#values.delete(key);
    else this.#values.set(key, after);
    if (before === undefined && after === undefined) this.#changes.delete(key);
    else if (before === undefined) this.#changes.set(key, { after: after as V });
    else if (after === undefined) this.#changes.set(key, { before });
    else this.#changes.set(key, { before, after });
  }
}

export function createSourceNode<V>(
  name: string,
  equals: (a: V, b: V) => boolean,
  onWrite: () => void,
): CollectionNode<V> & Source<V> {
  const queued = new Map<string, V | undefined>();
  const node = new CollectionNode<V>(name, equals, (self) => {
    for (const [key, value] of queued) self.write(key, value);
    queued.clear();
  });
  return Object.assign(node, {
    set(key: string, value: V): void {
      queued.set(key, value);
      onWrite();
    },
    delete(key: string): void {
      queued.set(key, undefined);
      onWrite();
    },
  });
}

/** A union; where two collections hold a key, the earlier one wins. */
export function createJoinNode<V>(name: string, inputs: readonly CollectionNode<V>[]): CollectionNode<V> {
  // The inputs have compared already.
  return new CollectionNode<V>(name, Object.is, (self) => {
    for (const input of inputs) {
      for (const key of input.changedKeys()) {
        self.write(key, inputs.find((one) => one.get(key) !== undefined)?.get(key));
      }
    }
  });
}

const emptyMap: ReadonlyMap<string, never> = new Map<string, never>();

export class IndexNode<V> implements Index<V>, Settling {
  readonly name: string;
  readonly #input: CollectionNode<V>;
  readonly #keysOf: (value: V, key: string) => Iterable<string>;
  readonly #members: Map<string, Map<string, V>> = new Map();
  readonly #keysByMember: Map<string, readonly string[]> = new Map();
  readonly #changed: Set<string> = new Set();

  constructor(name: string, input: CollectionNode<V>, keysOf: (value: V, key: string) => Iterable<string>) {
    this.name = name;
    this.#input = input;
    this.#keysOf = keysOf;
  }

  lookup(indexKey: string): ReadonlyMap<string, V> {
    return this.#members.get(indexKey) ?? emptyMap;
  }

  settle(): void {
    for (const [key, { after }] of this.#input.changes()) {
      for (const indexKey of this.#keysByMember.get(key) ?? []) {
        const members = this.#members.get(indexKey);
        members?.delete(key);
        if (members?.size === 0) this.#members.delete(indexKey);
        this.#changed.add(indexKey);
      }
      this.#keysByMember.delete(key);
      if (after === undefined) continue;
      const indexKeys = [...new Set(this.#keysOf(after, key))];
      if (indexKeys.length > 0) this.#keysByMember.set(key, indexKeys);
      for (const indexKey of indexKeys) {
        let members = this.#members.get(indexKey);
        if (!members) this.#members.set(indexKey, (members = new Map()));
        members.set(key, after);
        this.#changed.add(indexKey);
      }
    }
    for (const indexKey of this.#changed) {
      const members = this.#members.get(indexKey);
      if (members && members.size > 1) this.#members.set(indexKey, new Map([...members].toSorted(byKey)));
    }
  }

  changedKeys(): Iterable<string> {
    return this.#changed;
  }

  hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  emit(): void {}

  clear(): void {
    this.#changed.clear();
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
