/** Metrics, access log and trace context. */
export { MetricsRegistry, type Histogram, type MetricGroup, type Series } from './metrics.ts';
export { expositionContentType, negotiateFormat, writeSnapshot, type ExpositionFormat } from './exposition.ts';
export { MetricsMerger } from './merger.ts';
export type { MetricsSnapshot } from './snapshot.ts';
export { registerTcpMetrics, unknownLabel, type TcpMetricName } from './istio-tcp.ts';
export { openAccessLog, type AccessLog, type AccessLogFormat, type AccessLogPeer } from './access-log.ts';
export { createTraceContext, formatTraceparent, tryParseTraceparent, type TraceContext } from './trace-context.ts';
