/**
 * A graph of collections: sources, and what is derived of them by pure functions.
 *
 * `flush` settles all of it at once, synchronously and in the same order each time; only what read something that
 * changed is computed again, and an output equal to the last one is no change.
 */
import { isDeepStrictEqual } from 'node:util';
import { createDerivedNode, type Compute } from './derived-node.ts';
import type { Collection, Index, Reader, Source } from './model.ts';
import { CollectionNode, createJoinNode, createSourceNode, IndexNode, type Settling } from './node.ts';

export interface GraphOptions {
  /** Called on the first write after a flush: schedule the next one. */
  readonly onDirty?: () => void;
  /** A derivation or a listener threw; `key` names the input, "" for a listener. */
  readonly onError?: (collection: string, key: string, error: unknown) => void;
}

export interface DeriveOptions<O> {
  /** Default: deep equality. */
  readonly equals?: (a: O, b: O) => boolean;
}

export interface Graph {
  /** Default equality is identity: informers never repeat an object. */
  source<V>(name: string, options?: DeriveOptions<V>): Source<V>;
  /** At most one output an input, under the same key. */
  map<I, O>(
    name: string,
    input: Collection<I>,
    compute: (value: I, key: string, read: Reader) => O | undefined,
    options?: DeriveOptions<O>,
  ): Collection<O>;
  /** Any outputs an input. When two inputs give one key, the first input by name wins. */
  flatMap<I, O>(name: string, input: Collection<I>, compute: Compute<I, O>, options?: DeriveOptions<O>): Collection<O>;
  index<V>(name: string, input: Collection<V>, keysOf: (value: V, key: string) => Iterable<string>): Index<V>;
  /** The union; the earlier collection wins a key. */
  join<V>(name: string, inputs: readonly Collection<V>[]): Collection<V>;
  /** Settles everything, then tells the listeners. Writes by listeners wait for the next flush. */
  flush(): void;
}

export function createGraph(options: GraphOptions = {}): Graph {
  const nodes: Settling[] = [];
  const known = new Set<object>();
  let dirty = false;

  const add = <N extends Settling & object>(node: N): N => {
    nodes.push(node);
    known.add(node);
    return node;
  };
  const nodeOf = (target: object): Settling => {
    if (!known.has(target)) throw new Error('A derivation read a collection of another graph');
    return target as Settling;
  };
  const collectionNode = <V>(collection: Collection<V>): CollectionNode<V> => {
    if (!(collection instanceof CollectionNode) || !known.has(collection)) {
      throw new Error(`Collection "${collection.name}" belongs to another graph`);
    }
    return collection as CollectionNode<V>;
  };

  return {
    source: <V>(name: string, { equals }: DeriveOptions<V> = {}) =>
      add(
        createSourceNode<V>(name, equals ?? Object.is, () => {
          if (dirty) return;
          dirty = true;
          options.onDirty?.();
        }),
      ),

    map: <I, O>(
      name: string,
      input: Collection<I>,
      compute: (value: I, key: string, read: Reader) => O | undefined,
      derive: DeriveOptions<O> = {},
    ) =>
      add(
        createDerivedNode<I, O>(name, derive.equals ?? isDeepStrictEqual, {
          input: collectionNode(input),
          compute: (value, key, read) => {
            const output = compute(value, key, read);
            return output === undefined ? [] : [[key, output]];
          },
          nodeOf,
          onError: (key, error) => options.onError?.(name, key, error),
        }),
      ),

    flatMap: <I, O>(name: string, input: Collection<I>, compute: Compute<I, O>, derive: DeriveOptions<O> = {}) =>
      add(
        createDerivedNode<I, O>(name, derive.equals ?? isDeepStrictEqual, {
          input: collectionNode(input),
          compute,
          nodeOf,
          onError: (key, error) => options.onError?.(name, key, error),
        }),
      ),

    index: <V>(name: string, input: Collection<V>, keysOf: (value: V, key: string) => Iterable<string>) =>
      add(new IndexNode<V>(name, collectionNode(input), keysOf)),

    join: <V>(name: string, inputs: readonly Collection<V>[]) =>
      add(createJoinNode<V>(name, inputs.map(collectionNode))),

    flush() {
      dirty = false;
      for (const node of nodes) node.settle();
      for (const node of nodes) node.emit((error) => options.onError?.(node.name, '', error));
      for (const node of nodes) node.clear();
    },
  };
}
