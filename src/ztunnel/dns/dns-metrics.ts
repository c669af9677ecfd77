/** Istio's metrics of the DNS proxy: names, labels and buckets. */
import type { MeshWorkload } from '../../api/workload.ts';
import { dnsTypeName } from '../../net/index.ts';
import { unknownLabel, type MetricsRegistry } from '../../telemetry/index.ts';

export type DnsProtocol = 'udp' | 'tcp';

/** Counts the queries of one process. */
export interface DnsMetrics {
  request(labels: readonly string[]): void;
  forwarded(labels: readonly string[]): void;
  forwardFailed(labels: readonly string[]): void;
  forwardDuration(labels: readonly string[], seconds: number): void;
}

const labelNames = [
  'request_query_type',
  'request_protocol',
  'source_canonical_service',
  'source_canonical_revision',
] as const;

/** What the metrics say of one query. `type` is 0 where there is none. */
export function dnsLabels(type: number, protocol: DnsProtocol, source: MeshWorkload | undefined): string[] {
  return [
    dnsTypeName(type),
    protocol,
    source?.canonicalName || unknownLabel,
    source?.canonicalRevision || unknownLabel,
  ];
}

export function registerDnsMetrics(registry: MetricsRegistry): DnsMetrics {
  const group = registry.group({
    metrics: {
      requests: { name: 'istio_dns_requests', help: 'Total number of DNS requests', kind: 'counter' },
      forwarded: {
        name: 'istio_dns_upstream_requests',
        help: 'Total number of DNS requests forwarded to upstream',
        kind: 'counter',
      },
      failed: {
        name: 'istio_dns_upstream_failures',
        help: 'Total number of DNS requests that upstream did not answer',
        kind: 'counter',
      },
    },
    labelNames,
  });
  const durations = registry.histogram({
    name: 'istio_dns_upstream_request_duration_seconds',
    help: 'Time that upstream took to answer DNS requests',
    buckets: [0.0005, 0.001, 0.01, 0.1, 1, 5],
    labelNames,
  });
  return {
    request: (labels) => group.record(labels, (values) => void values.requests++),
    forwarded: (labels) => group.record(labels, (values) => void values.forwarded++),
    forwardFailed: (labels) => group.record(labels, (values) => void values.failed++),
    forwardDuration: (labels, seconds) => durations.observe(labels, seconds),
  };
}
