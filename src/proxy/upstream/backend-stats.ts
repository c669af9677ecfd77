/** What is counted of a backend, under Envoy's names: one series a backend. */
import type { RequestedHostRefusal } from '../../decision/balance/index.ts';
import type { MetricGroup, MetricsRegistry } from '../../telemetry/index.ts';

const metrics = {
  connections: {
    name: 'envoy_cluster_upstream_cx',
    help: 'Connections opened to hosts of the backend',
    kind: 'counter',
  },
  activeConnections: {
    name: 'envoy_cluster_upstream_cx_active',
    help: 'Connections to hosts of the backend, open or being opened',
    kind: 'gauge',
  },
  failedConnects: {
    name: 'envoy_cluster_upstream_cx_connect_fail',
    help: 'Connections that could not be opened',
    kind: 'counter',
  },
  requests: { name: 'envoy_cluster_upstream_rq', help: 'Requests sent to hosts of the backend', kind: 'counter' },
  retries: {
    name: 'envoy_cluster_upstream_rq_retry',
    help: 'Requests sent that were not the first attempt',
    kind: 'counter',
  },
  retryOverflow: {
    name: 'envoy_cluster_upstream_rq_retry_overflow',
    help: 'Retries that were not made because there were too many',
    kind: 'counter',
  },
  overflow: {
    name: 'envoy_cluster_upstream_rq_pending_overflow',
    help: 'Requests refused by a limit of the backend',
    kind: 'counter',
  },
  activeRequests: {
    name: 'envoy_cluster_upstream_rq_active',
    help: 'Requests of the backend that have a connection',
    kind: 'gauge',
  },
  pendingRequests: {
    name: 'envoy_cluster_upstream_rq_pending_active',
    help: 'Requests of the backend that wait for a connection',
    kind: 'gauge',
  },
  noHost: {
    name: 'envoy_cluster_upstream_cx_none_healthy',
    help: 'Requests refused because the backend had no healthy host',
    kind: 'counter',
  },
  ejections: {
    name: 'envoy_cluster_outlier_detection_ejections_enforced',
    help: 'Hosts taken out by outlier detection',
    kind: 'counter',
  },
  ejected: {
    name: 'envoy_cluster_outlier_detection_ejections_active',
    help: 'Hosts that are out by outlier detection now',
    kind: 'gauge',
  },
} as const;

export type BackendStatNames = keyof typeof metrics;

/** Counts are plain numbers, changed in place. */
export type BackendStats = Record<BackendStatNames, number>;

export interface StatsOfBackends {
  open(backend: string): BackendStats;
  close(stats: BackendStats): void;
  /** A request or connection got no address of the host that it named. */
  refusedHost(backend: string, why: HostRefusal): void;
}

export type HostRefusal = RequestedHostRefusal | 'other-service' | 'too-many' | 'unresolved' | 'address';

const refusals = {
  refused: {
    name: 'ambit_proxy_requested_host_refusals',
    help: 'Requests and connections that were refused for the host that they named, or for its addresses',
    kind: 'counter',
  },
} as const;

/** Without a registry nobody looks, and they are counted all the same. */
export function statsOfBackends(registry: MetricsRegistry | undefined): StatsOfBackends {
  if (!registry) return { open: () => emptyStats(), close() {}, refusedHost() {} };
  const group: MetricGroup<BackendStatNames> = registry.group({ metrics, labelNames: ['cluster_name'] });
  const refused = registry.group({ metrics: refusals, labelNames: ['cluster_name', 'reason'] });
  const series = new Map<BackendStats, ReturnType<typeof group.acquire>>();
  return {
    open(backend) {
      const acquired = group.acquire([backend]);
      series.set(acquired.values, acquired);
      return acquired.values;
    },
    close(stats) {
      const acquired = series.get(stats);
      if (acquired) group.release(acquired);
      series.delete(stats);
    },
    refusedHost: (backend, why) => refused.record([backend, why], (values) => values.refused++),
  };
}

function emptyStats(): BackendStats {
  return Object.fromEntries(Object.keys(metrics).map((name) => [name, 0])) as BackendStats;
}
