/** How long a container waits before it runs again: the first restart is at once, later ones wait ever longer. */

export interface RestartBackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** A container that ran this long starts over. */
  readonly healthyMs: number;
}

/** kubelet's figures. */
export const podBackoff: RestartBackoffOptions = { initialMs: 10_000, maxMs: 300_000, healthyMs: 600_000 };
/** The mesh's own static pods: everything on the node waits for them. */
export const systemBackoff: RestartBackoffOptions = { initialMs: 500, maxMs: 10_000, healthyMs: 60_000 };

export class RestartBackoff {
  readonly #options: RestartBackoffOptions;
  #nextMs = 0;

  constructor(options: RestartBackoffOptions) {
    this.#options = options;
  }

  /** The delay before the restart of a container that ran for `ranMs`; 0: at once. */
  next(ranMs: number): number {
    if (ranMs >= this.#options.healthyMs) this.#nextMs = 0;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(Math.max(delayMs * 2, this.#options.initialMs), this.#options.maxMs);
    return delayMs;
  }
}
