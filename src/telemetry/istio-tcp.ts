/** Istio's TCP metrics: names, label order and the values that stand for "nothing known". */
import type { MetricGroup, MetricsRegistry, Series } from './metrics.ts';
import type { MetricInfo } from './snapshot.ts';

export const unknownLabel = 'unknown';

/** Longest name that the mesh itself gives; what peers say of themselves may be anything. */
const maxLabelLength = 256;

/** The value of a label: what is missing is unknown. */
export function trafficLabel(value: string | undefined): string {
  if (value === undefined || value === '') return unknownLabel;
  return value.length > maxLabelLength ? value.slice(0, maxLabelLength) : value;
}

const sourceLabelNames = [
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
] as const;

/** In Istio's order, which dashboards do not need but people compare. */
export const trafficLabelNames: readonly string[] = [
  'reporter',
  ...sourceLabelNames,
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
];

/** After the others, where any of them is known. */
export const localityLabelNames: readonly string[] = [
  'source_region',
  'source_zone',
  'destination_region',
  'destination_zone',
];

export type TcpMetricName = 'opened' | 'closed' | 'failed' | 'sent' | 'received';

/** Of ztunnels and proxies alike. */
export const tcpMetricInfos: Readonly<Record<TcpMetricName, MetricInfo>> = {
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
};

export interface TcpMetrics {
  /** Labels in the order of `trafficLabelNames`, then of `localityLabelNames`. */
  readonly traffic: MetricGroup<TcpMetricName>;
  /** Connections that are open now, by who tells of them. */
  readonly open: Readonly<Record<'source' | 'destination', Series<'open'>>>;
}

export function registerTcpMetrics(registry: MetricsRegistry): TcpMetrics {
  const traffic = registry.group<TcpMetricName>({
    metrics: tcpMetricInfos,
    labelNames: trafficLabelNames,
    optionalLabelNames: localityLabelNames,
  });
  const open = registry.group<'open'>({
    metrics: {
      open: { name: 'istio_tcp_sockets_open', help: 'The number of TCP connections open now', kind: 'gauge' },
    },
    labelNames: ['reporter'],
    neverExpires: true,
  });
  return { traffic, open: { source: open.acquire(['source']), destination: open.acquire(['destination']) } };
}

/** Who asked, in the order of Istio's source labels. */
export interface NameAsker {
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly namespace: string;
  readonly principal: string | undefined;
  readonly clusterId: string;
}

/** Counts look-ups of endpoints that the mesh knows by name alone. */
export function registerOnDemandDns(registry: MetricsRegistry): (asker: NameAsker, hostname: string) => void {
  const group = registry.group({
    metrics: {
      requests: {
        name: 'istio_on_demand_dns',
        help: 'The total number of requests that used on-demand DNS',
        kind: 'counter',
      },
    },
    labelNames: [...sourceLabelNames, 'hostname'],
  });
  return (asker, hostname) => {
    const { workloadName, canonicalName, canonicalRevision, namespace, principal, clusterId } = asker;
    const source = [
      workloadName,
      canonicalName,
      canonicalRevision,
      namespace,
      principal,
      canonicalName,
      canonicalRevision,
    ];
    const labels = [...source, clusterId, hostname].map((value) => value || unknownLabel);
    group.record(labels, (values) => void (values['requests'] = (values['requests'] ?? 0) + 1));
  };
}
