/** Collections: keyed values that change over time, and what may be read of them. */

export interface Change<V> {
  /** Absent: added. */
  readonly before?: V;
  /** Absent: removed. */
  readonly after?: V;
}

/** By key; every entry differs before and after. */
export type Changes<V> = ReadonlyMap<string, Change<V>>;

/** Reads see the state after the last flush. */
export interface Collection<V> {
  readonly name: string;
  readonly size: number;
  get(key: string): V | undefined;
  entries(): IterableIterator<[string, V]>;
  /**
   * Hears of each flush that changed something, after the whole graph has settled, so that all collections agree.
   * Does not replay what is there already. Returns how to stop.
   */
  subscribe(listener: (changes: Changes<V>) => void): () => void;
}

/** A collection that is written by hand; writes show after the next flush. */
export interface Source<V> extends Collection<V> {
  set(key: string, value: V): void;
  delete(key: string): void;
}

/** The members of a collection by something else than their key. */
export interface Index<V> {
  readonly name: string;
  /** Members by their own key, in key order. */
  lookup(indexKey: string): ReadonlyMap<string, V>;
}

/**
 * How a derivation reads anything but its own input: what it read decides when it is computed again.
 * Valid only while the derivation runs.
 */
export interface Reader {
  get<V>(collection: Collection<V>, key: string): V | undefined;
  lookup<V>(index: Index<V>, indexKey: string): ReadonlyMap<string, V>;
  /** Every member: computed again with each change of the collection. For small collections. */
  all<V>(collection: Collection<V>): IterableIterator<[string, V]>;
}
