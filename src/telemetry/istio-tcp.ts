/** Istio's TCP metrics: names, label order and the values that stand for "nothing known". */
import type { MetricGroup, MetricGroupInfo, MetricsRegistry } from './metrics.ts';

export const unknownLabel = 'unknown';

/** In Istio's order, which dashboards do not need but people compare. */
export const trafficLabelNames = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
] as const;

export type TcpMetricName = 'opened' | 'closed' | 'failed' | 'sent' | 'received';

const info: MetricGroupInfo<TcpMetricName> = {
  metrics: {
    opened: {
      name: 'istio_tcp_connections_opened',
      help: 'The total number of TCP connections opened',
      kind: 'counter',
    },
    closed: {
      name: 'istio_tcp_connections_closed',
      help: 'The total number of TCP connections closed',
      kind: 'counter',
    },
    failed: {
      name: 'istio_tcp_connections_failed',
      help: 'The total number of TCP connections that failed',
      kind: 'counter',
    },
    sent: { name: 'istio_tcp_sent_bytes', help: 'Total bytes sent by the server of a connection', kind: 'counter' },
    received: {
      name: 'istio_tcp_received_bytes',
      help: 'Total bytes received by the server of a connection',
      kind: 'counter',
    },
  },
  labelNames: trafficLabelNames,
};

export function registerTcpMetrics(registry: MetricsRegistry): MetricGroup<TcpMetricName> {
  return registry.group(info);
}
