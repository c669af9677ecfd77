/** The kinds that CustomResourceDefinitions in the store bring, always as the store has them. */
import { servedKinds } from '../../../api/custom/kind-info.ts';
import type { CustomResourceDefinition, KindInfo } from '../../../api/index.ts';
import { jsonEqual } from '../object-fields.ts';
import type { ObjectStore, StoreEvent } from '../store.ts';
import { crdStorage, isEstablished } from './definition.ts';

interface Entry {
  readonly crd: CustomResourceDefinition;
  readonly kinds: readonly KindInfo[];
}

export class CustomKinds {
  /** By the name of the definition, which is also the name of the kind's storage. */
  readonly #entries = new Map<string, Entry>();
  readonly #whenGone = new Map<string, Set<() => void>>();
  #generation = 0;

  /** Follows the store for as long as that is open. */
  constructor(store: ObjectStore) {
    for (const { object } of store.list(crdStorage)) this.#put(object as CustomResourceDefinition);
    store.watch(crdStorage, store.revision, (event) => this.#onEvent(event));
  }

  /** Grows with every change. */
  get generation(): number {
    return this.#generation;
  }

  find(group: string, version: string, plural: string): KindInfo | undefined {
    return this.#entries.get(`${plural}.${group}`)?.kinds.find((kind) => kind.version === version);
  }

  /** Each kind once for each served version. */
  all(): KindInfo[] {
    return [...this.#entries.values()].flatMap(({ kinds }) => kinds);
  }

  /** Calls `listener` once the kind is served no more: its watches end then. Returns the cancellation. */
  whenGone(storage: string, listener: () => void): () => void {
    const listeners = this.#whenGone.get(storage) ?? new Set();
    this.#whenGone.set(storage, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#whenGone.delete(storage);
    };
  }

  #onEvent({ kind, current }: StoreEvent): void {
    if (kind === 'deleted') this.#remove(current.object.metadata.name ?? '');
    else this.#put(current.object as CustomResourceDefinition);
  }

  #put(crd: CustomResourceDefinition): void {
    const name = crd.metadata.name ?? '';
    const known = this.#entries.get(name);
    if (!isEstablished(crd)) return this.#remove(name);
    // Most changes are of status: what was compiled for the kind stays.
    if (known && jsonEqual(known.crd.spec, crd.spec)) return;
    this.#entries.set(name, { crd, kinds: servedKinds(crd) });
    this.#generation += 1;
  }

  #remove(name: string): void {
    if (!this.#entries.delete(name)) return;
    this.#generation += 1;
    for (const listener of this.#whenGone.get(name) ?? []) listener();
  }
}
