/** A derived collection: outputs computed from each input entry and from what that computation read. */
import type { Collection, Index, Reader } from './model.ts';
import { CollectionNode, type Settling } from './node.ts';

export type Compute<I, O> = (value: I, key: string, read: Reader) => Iterable<readonly [string, O]>;

export interface DerivedOptions<I, O> {
  readonly input: CollectionNode<I>;
  readonly compute: Compute<I, O>;
  /** The node behind a collection or an index; throws when it belongs to another graph or comes later. */
  readonly nodeOf: (target: object) => Settling;
  /** A computation that throws keeps its last outputs. */
  readonly onError: (inputKey: string, error: unknown) => void;
}

/** Stands for a whole collection among the keys that were read; no Kubernetes name has it. */
const everything = '\u0000*';

/** `equals` compares outputs; an equal output is no change. */
export function createDerivedNode<I, O>(
  name: string,
  equals: (a: O, b: O) => boolean,
  options: DerivedOptions<I, O>,
): CollectionNode<O> {
  const derivation = new Derivation(options);
  return new CollectionNode(name, equals, (self) => derivation.settle(self));
}

class Derivation<I, O> {
  readonly #options: DerivedOptions<I, O>;
  /** Per input key: its outputs, and what was read for them. */
  readonly #outputs: Map<string, ReadonlyMap<string, O>> = new Map();
  readonly #reads: Map<string, Map<Settling, Set<string>>> = new Map();
  /** The reverse: per node and key read, the inputs to compute again. */
  readonly #readers: Map<Settling, Map<string, Set<string>>> = new Map();
  /** Which inputs give an output key. Mostly one; of several, the first by name wins. */
  readonly #owners: Map<string, Set<string>> = new Map();

  constructor(options: DerivedOptions<I, O>) {
    this.#options = options;
  }

  settle(target: CollectionNode<O>): void {
    const dirty = new Set(this.#options.input.changedKeys());
    for (const [node, readers] of this.#readers) {
      if (!node.hasChanges()) continue;
      addAll(dirty, readers.get(everything));
      for (const key of node.changedKeys()) addAll(dirty, readers.get(key));
    }
    const touched = new Set<string>();
    for (const inputKey of dirty) this.#recompute(inputKey, touched);
    for (const outputKey of touched) this.#publish(outputKey, target);
  }

  #recompute(inputKey: string, touched: Set<string>): void {
    const value = this.#options.input.get(inputKey);
    const before = this.#outputs.get(inputKey);
    this.#forgetReads(inputKey);
    let after: ReadonlyMap<string, O> = new Map();
    if (value !== undefined) {
      const reads = new Map<Settling, Set<string>>();
      try {
        after = new Map(this.#options.compute(value, inputKey, this.#readerInto(reads)));
      } catch (error) {
        after = before ?? after;
        this.#options.onError(inputKey, error);
      }
      this.#rememberReads(inputKey, reads);
    }
    for (const outputKey of before?.keys() ?? []) {
      touched.add(outputKey);
      if (!after.has(outputKey)) this.#disown(outputKey, inputKey);
    }
    for (const outputKey of after.keys()) {
      touched.add(outputKey);
      const owners = this.#owners.get(outputKey);
      if (owners) owners.add(inputKey);
      else this.#owners.set(outputKey, new Set([inputKey]));
    }
    if (after.size > 0) this.#outputs.set(inputKey, after);
    else this.#outputs.delete(inputKey);
  }

  #publish(outputKey: string, target: CollectionNode<O>): void {
    const owners = this.#owners.get(outputKey);
    if (!owners) return target.write(outputKey, undefined);
    let first: string | undefined;
    for (const owner of owners) if (first === undefined || owner < first) first = owner;
    target.write(outputKey, this.#outputs.get(first ?? '')?.get(outputKey));
  }

  #disown(outputKey: string, inputKey: string): void {
    const owners = this.#owners.get(outputKey);
    owners?.delete(inputKey);
    if (owners?.size === 0) this.#owners.delete(outputKey);
  }

  #readerInto(reads: Map<Settling, Set<string>>): Reader {
    const note = (target: object, key: string): void => {
      const node = this.#options.nodeOf(target);
      const keys = reads.get(node);
      if (keys) keys.add(key);
      else reads.set(node, new Set([key]));
    };
    return {
      get<V>(collection: Collection<V>, key: string): V | undefined {
        note(collection, key);
        return collection.get(key);
      },
      lookup<V>(index: Index<V>, indexKey: string): ReadonlyMap<string, V> {
        note(index, indexKey);
        return index.lookup(indexKey);
      },
      all<V>(collection: Collection<V>): IterableIterator<[string, V]> {
        note(collection, everything);
        return collection.entries();
      },
    };
  }

  #rememberReads(inputKey: string, reads: Map<Settling, Set<string>>): void {
    if (reads.size === 0) return;
    this.#reads.set(inputKey, reads);
    for (const [node, keys] of reads) {
      let readers = this.#readers.get(node);
      if (!readers) this.#readers.set(node, (readers = new Map()));
      for (const key of keys) {
        const inputs = readers.get(key);
        if (inputs) inputs.add(inputKey);
        else readers.set(key, new Set([inputKey]));
      }
    }
  }

  #forgetReads(inputKey: string): void {
    for (const [node, keys] of this.#reads.get(inputKey) ?? []) {
      const readers = this.#readers.get(node);
      for (const key of keys) {
        const inputs = readers?.get(key);
        inputs?.delete(inputKey);
        if (inputs?.size === 0) readers?.delete(key);
      }
    }
    this.#reads.delete(inputKey);
  }
}

function addAll(into: Set<string>, keys: Iterable<string> | undefined): void {
  for (const key of keys ?? []) into.add(key);
}
