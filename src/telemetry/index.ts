/** Metrics, access log and trace context. */
export { MetricsRegistry, expositionContentType, negotiateFormat } from './metrics.ts';
export type { ExpositionFormat, MetricGroup, Series } from './metrics.ts';
export { registerTcpMetrics, unknownLabel, type TcpMetricName } from './istio-tcp.ts';
export { openAccessLog, type AccessLog, type AccessLogFormat, type AccessLogPeer } from './access-log.ts';
export { createTraceContext, formatTraceparent, tryParseTraceparent } from './trace-context.ts';
