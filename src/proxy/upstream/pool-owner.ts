/** What backends and their pools need of what is around them. */
import type { NetworkId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { ClientConnection, ClientConnectionListener } from '../../http/message.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { ByteChannel } from '../../net/channel.ts';
import type { SharedCounts } from '../workers/shared-counts.ts';
import type { StatsOfBackends } from './backend-stats.ts';
import type { Connector } from './connector.ts';
import type { Host } from './host.ts';
import type { HostPool } from './host-pool.ts';
import type { OpenOutliers } from './outlier-watch.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Speaks a version of HTTP on a channel that nobody has read from. */
export type OpenClientConnection = (channel: ByteChannel, listener: ClientConnectionListener) => ClientConnection;

export interface Codecs {
  readonly http1: OpenClientConnection;
  readonly http2: OpenClientConnection;
}

export interface PoolOwner {
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: MeshState;
  readonly random: () => number;
  readonly codecs: Codecs;
  readonly connector: Connector;
  readonly address: string;
  readonly network: NetworkId;
  readonly stats: StatsOfBackends;
  own(): MeshWorkload | undefined;
  /** What other threads of the process count at a backend; undefined: there are none. */
  countsOf?(backend: string): SharedCounts | undefined;
  readonly openOutliers: OpenOutliers;
  /** Hosts of a backend were taken out or back in. */
  onEjections?(backend: string, hosts: Iterable<Host>): void;
  onConnectionOpened(connection: PooledConnection): void;
  onConnectionClosed(connection: PooledConnection): void;
  onIdle(connection: PooledConnection): void;
  /** All connections of the pool take no more requests. */
  retireConnections(pool: HostPool): void;
}
