/** Metrics, access log and trace context. */
export { MetricsRegistry, expositionContentType, negotiateFormat } from './metrics.ts';
export type { ExpositionFormat, MetricGroup, MetricGroupInfo, MetricInfo, MetricsOptions, Series } from './metrics.ts';
export { registerTcpMetrics, trafficLabelNames, unknownLabel } from './istio-tcp.ts';
export type { TcpMetricName, TrafficLabelName } from './istio-tcp.ts';
export { openAccessLog } from './access-log.ts';
export type { AccessLog, AccessLogFormat, AccessLogOptions, AccessLogPeer, AccessLogRecord } from './access-log.ts';
export { createTraceContext, formatTraceparent, tryParseTraceparent } from './trace-context.ts';
export type { TraceContext } from './trace-context.ts';
