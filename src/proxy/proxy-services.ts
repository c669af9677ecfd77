/** What filters and listeners get from the process around them. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { MeshState } from '../mesh/index.ts';
import type { BucketShape, TokenStore } from '../policy/rate-limit.ts';
import type { MetricsRegistry } from '../telemetry/index.ts';
import type { Upstreams } from './upstream/upstream.ts';

export interface ProxyServices {
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: MeshState;
  readonly metrics: MetricsRegistry;
  /** 0 to 1; a test's is fixed. */
  readonly random: () => number;
  /** Sends requests of the proxy's own (ext_authz, rate limit, spans), and those of clients. */
  readonly upstreams: Upstreams;
  /** A token names a key that is not in the set of this name (`JwtRule.keySet`): it may be there by now. Absent: nobody can be asked. */
  readonly askForKeys?: (keySet: string) => void;
  /** Buckets of a local rate limit that other threads of the process take from as well; absent: there are no others. */
  bucketsOf?(rule: string, shape: BucketShape): TokenStore;
}
