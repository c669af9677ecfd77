/** What load balancing knows of a host, and how it draws one. Pure but for the counters that hosts carry. */
import type { Locality } from '../../api/workload.ts';

export interface BalancedHost {
  /** Names the host for as long as it lives: hash tables are made of it. */
  readonly key: string;
  /** Above 0. */
  readonly weight: number;
  /** 0 is first. */
  readonly priority: number;
  readonly locality: Locality;
  /** Neither found unhealthy nor ejected. */
  readonly healthy: boolean;
  /** Requests, or connections of raw bytes, that it has now. */
  readonly activeRequests: number;
}

/** Draws from hosts that are as good as each other. */
export interface Picker<H> {
  /**
   * `hash` is an unsigned 32-bit number, used by hash tables alone; undefined: the request has none. `skips`: not this one, if there is
   * another. Undefined when every host is skipped.
   */
  pick(hash: number | undefined, skips?: (host: H) => boolean): H | undefined;
}

/** The one that is not skipped, from `start` on around. */
export function firstFrom<H>(hosts: readonly H[], start: number, skips: (host: H) => boolean): H | undefined {
  for (let i = 0; i < hosts.length; i++) {
    const host = hosts[(start + i) % hosts.length] as H;
    if (!skips(host)) return host;
  }
  return undefined;
}

export function sameWeights(hosts: readonly { readonly weight: number }[]): boolean {
  const weight = hosts[0]?.weight;
  return hosts.every((host) => host.weight === weight);
}
