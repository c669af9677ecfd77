/** What listeners get from the process, and what they keep count of. */
import type { SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { Revocations, WorkloadCertificate } from '../../identity/index.ts';
import type { CompiledConfig } from '../engine/compiled-config.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { WorkerShare } from '../workers/share.ts';
import type { ClientRevocations } from './client-revocations.ts';
import type { LateNews } from './late-news.ts';
import type { LeftWorkloads } from './left-workloads.ts';

export interface ListenerContext {
  readonly services: ProxyServices;
  /** Our own, as a workload. */
  readonly identity: SpiffeId;
  /** Ourselves as the mesh knows us; undefined as long as it does not. */
  own(): MeshWorkload | undefined;
  certificate(signal: AbortSignal): Promise<WorkloadCertificate>;
  readonly revocations?: Revocations;
  /** Of clients at the edge; absent: nobody's. */
  readonly clientRevocations?: ClientRevocations;
  /** Of now; undefined before the first. */
  config(): CompiledConfig | undefined;
  /** The end of the process: what still lives is cut. */
  readonly ended: AbortSignal;
  readonly live: LiveConnections;
  readonly late: LateNews;
  readonly left: LeftWorkloads;
  /** What other engines of the process have in common with this one; absent: there are none. */
  readonly share?: WorkerShare;
}

/** What can be asked to end, and what must have ended before the process may. */
export interface Drainable {
  drain(): void;
  /** The configuration changed: ends what would not be let in now. */
  review?(): void;
}

/** Connections that are open, inner ones too. */
export class LiveConnections {
  /** With whether the configuration of now still has a place for it. */
  readonly #open = new Map<Drainable, (() => boolean) | undefined>();
  #draining = false;
  #waiting: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Returns the removal. What comes while we drain is served, and asked to end at once. */
  add(connection: Drainable, isWanted?: () => boolean): () => void {
    this.#open.set(connection, isWanted);
    if (this.#draining) connection.drain();
    return () => {
      this.#open.delete(connection);
      if (this.#open.size === 0) this.#waiting?.();
    };
  }

  /** The configuration changed: asks those to end that it has no place for any more, and ends what its policies deny. */
  review(): void {
    for (const [connection, isWanted] of this.#open) {
      connection.review?.();
      if (isWanted && !isWanted()) connection.drain();
    }
  }

  /** Asks all to end; resolves when they have. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const connection of this.#open.keys()) connection.drain();
    return new Promise((resolve) => {
      if (this.#open.size === 0) resolve();
      else this.#waiting = resolve;
    });
  }
}
