/** Istio's metrics of an L7 proxy: names, label order, buckets (ambient-l7, 4.1). */
import type { CellGroup } from './cell-group.ts';
import { tcpMetricInfos } from './istio-tcp.ts';
import type { MetricsRegistry } from './metrics.ts';

/** Who sent it and who took it: the labels that all metrics of proxies begin with. */
export const proxyPeerLabelNames: readonly string[] = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
];

export const proxyHttpLabelNames: readonly string[] = [
  ...proxyPeerLabelNames,
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
];

export const proxyTcpLabelNames: readonly string[] = [
  ...proxyPeerLabelNames,
  'request_protocol',
  'response_flags',
  'connection_security_policy',
];

/** Upper bounds of all of Istio's histograms, whatever they measure. */
const buckets: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** What proxies count. Offsets into the cells of a series are those of `CellGroup.offsets`, in the order of the names here. */
export interface ProxyMetrics {
  /** requests, duration (ms), requestBytes, responseBytes. */
  readonly http: CellGroup;
  /** requestMessages, responseMessages. */
  readonly grpc: CellGroup;
  /** opened, closed, sent, received: bytes from the view of the server. */
  readonly tcp: CellGroup;
}

export function registerProxyMetrics(registry: MetricsRegistry): ProxyMetrics {
  const { opened, closed, sent, received } = tcpMetricInfos;
  return {
    http: registry.cells({
      metrics: [
        { name: 'istio_requests', help: 'The total number of requests', kind: 'counter' },
        {
          name: 'istio_request_duration_milliseconds',
          help: 'Time from the request to the end of its answer, in milliseconds',
          kind: 'histogram',
          buckets,
        },
        { name: 'istio_request_bytes', help: 'Size of requests with their headers', kind: 'histogram', buckets },
        { name: 'istio_response_bytes', help: 'Size of answers with their headers', kind: 'histogram', buckets },
      ],
      overflowLabelNames: proxyHttpLabelNames,
    }),
    grpc: registry.cells({
      metrics: [
        { name: 'istio_request_messages', help: 'The total number of gRPC messages from clients', kind: 'counter' },
        { name: 'istio_response_messages', help: 'The total number of gRPC messages from servers', kind: 'counter' },
      ],
      overflowLabelNames: proxyPeerLabelNames,
    }),
    tcp: registry.cells({ metrics: [opened, closed, sent, received], overflowLabelNames: proxyTcpLabelNames }),
  };
}

/** Counts `value` in the histogram whose cells begin at `offset`. */
export function observe(cells: Float64Array, offset: number, value: number): void {
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= (buckets[middle] as number)) high = middle;
    else low = middle + 1;
  }
  (cells[offset + low] as number) += 1;
  (cells[offset + buckets.length + 1] as number) += value;
}
