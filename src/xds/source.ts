/** Where a delta server takes the resources of one type from. */

export interface SourceResource {
  /** Follows from the content: equal versions mean equal bodies. */
  readonly version: string;
  /** The encoded message. */
  readonly body: Uint8Array;
  /** Further names that on-demand clients may ask by. */
  readonly aliases?: readonly string[];
}

export interface ResourceSource {
  /** What there is now, by name. Read, never kept: the next call may give another map. */
  snapshot(): ReadonlyMap<string, SourceResource>;
  /**
   * `onChange` is called after each change with the names that were added, changed or removed; without names,
   * everything is compared. Never from inside `subscribe`. Returns the removal.
   */
  subscribe(onChange: (names?: Iterable<string>) => void): () => void;
}

/** A source over a map that its owner changes. */
export interface MutableSource extends ResourceSource {
  /** Applies all of it, then tells the subscribers once. An undefined value removes. */
  update(changes: Iterable<readonly [name: string, resource: SourceResource | undefined]>): void;
}

export function createMutableSource(): MutableSource {
  const resources = new Map<string, SourceResource>();
  const listeners = new Set<(names: Iterable<string>) => void>();
  return {
    snapshot: () => resources,
    subscribe(onChange) {
      listeners.add(onChange);
      return () => void listeners.delete(onChange);
    },
    update(changes) {
      const changed = new Set<string>();
      for (const [name, resource] of changes) {
        if (resources.get(name)?.version === resource?.version) continue;
        changed.add(name);
        if (resource) resources.set(name, resource);
        else resources.delete(name);
      }
      if (changed.size > 0) for (const listener of listeners) listener(changed);
    },
  };
}
