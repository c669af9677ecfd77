/** What a proxy that is one of several workers has in common with the others: limits hold for all of them together. */
import type { BucketShape, TokenStore } from '../../policy/rate-limit.ts';
import type { OpenOutliers } from '../upstream/outlier-watch.ts';
import type { SharedCounts } from './shared-counts.ts';

export interface WorkerShare {
  readonly workers: number;
  /** Connections of clients, in the first column. */
  readonly connections: SharedCounts;
  /** `backendColumns` of a backend; undefined: it is not known to all yet. */
  countsOf(backend: string): SharedCounts | undefined;
  /** Buckets of a rate limit, by the name of the rule. */
  bucketsOf(rule: string, shape: BucketShape): TokenStore;
  readonly openOutliers: OpenOutliers;
  /** A descriptor of ours of the socket that listens on a port. Rejects with why there is none. */
  openSocket(port: number): Promise<number>;
}

/** What a worker may have of what the process may have. */
export function shareOf(limit: number, share: Pick<WorkerShare, 'workers'> | undefined): number {
  return share ? Math.ceil(limit / share.workers) : limit;
}
