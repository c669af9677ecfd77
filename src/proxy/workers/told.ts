/** What discovery said to the workers of a proxy, kept for one that starts later, with the memory in which they count together. */
import type { DeltaUpdate } from '../../xds/index.ts';
import { proxyResourceName, type DeltaResource } from '../../wire/index.ts';
import { passthroughBackend } from '../engine/compiled-config.ts';
import type { FeedName } from './messages.ts';
import { backendOf, backendWidth, SharedCounts } from './shared-counts.ts';

/** Memory of backends, by their names. */
export type BackendCounts = readonly (readonly [backend: string, memory: SharedArrayBuffer])[];

/** One message to a worker. */
export interface ToldUpdate {
  readonly feed: FeedName;
  readonly update: DeltaUpdate;
  readonly counts: BackendCounts;
}

export class Told {
  readonly #workers: number;
  readonly #resources: Readonly<Record<FeedName, Map<string, DeltaResource>>> = { mesh: new Map(), config: new Map() };
  /** The configuration that was taken last, where what was told since is refused. */
  #good: ReadonlyMap<string, DeltaResource> = new Map();
  readonly #counts = new Map<string, SharedArrayBuffer>();

  constructor(workers: number) {
    this.#workers = workers;
    this.#counts.set(passthroughBackend.name, SharedCounts.allocate(workers, backendWidth));
  }

  /** Keeps what is being told; gives the memory of backends that are new. */
  note(feed: FeedName, { added, removed }: DeltaUpdate): BackendCounts {
    const resources = this.#resources[feed];
    for (const resource of added) resources.set(resource.name, resource);
    for (const name of removed) resources.delete(name);
    return feed === 'config' ? this.#countsFor(added) : [];
  }

  /** The configuration as told is at work in all workers. */
  taken(): void {
    this.#good = new Map(this.#resources.config);
    // Of backends that are gone for all: where their going was refused they are at work, also in a worker that starts later.
    for (const name of this.#counts.keys()) {
      const isThere = this.#good.has(proxyResourceName({ kind: 'backend', name }));
      if (!isThere && name !== passthroughBackend.name) this.#counts.delete(name);
    }
  }

  /** For a worker that starts, in this order: what is at work, then what was refused since. */
  again(): readonly ToldUpdate[] {
    const { mesh, config } = this.#resources;
    const good = this.#good;
    const added = [...config].filter(([key, resource]) => good.get(key) !== resource).map(([, resource]) => resource);
    const removed = [...good.keys()].filter((key) => !config.has(key));
    const updates: readonly ToldUpdate[] = [
      { feed: 'mesh', update: { added: [...mesh.values()], removed: [] }, counts: [] },
      { feed: 'config', update: { added: [...good.values()], removed: [] }, counts: [...this.#counts] },
      { feed: 'config', update: { added, removed }, counts: [] },
    ];
    return updates.filter(({ update, counts }) => update.added.length + update.removed.length + counts.length > 0);
  }

  /** A worker died: what it counted is over. */
  clearCounts(worker: number): void {
    for (const memory of this.#counts.values()) SharedCounts.clear(memory, { worker, width: backendWidth });
  }

  #countsFor(added: readonly DeltaResource[]): BackendCounts {
    const found: [string, SharedArrayBuffer][] = [];
    for (const { name } of added) {
      const backend = backendOf(name);
      if (backend === undefined || this.#counts.has(backend)) continue;
      const memory = SharedCounts.allocate(this.#workers, backendWidth);
      this.#counts.set(backend, memory);
      found.push([backend, memory]);
    }
    return found;
  }
}
