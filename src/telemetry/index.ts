/** Metrics, access log and trace context. */
export { LabelSet, MetricsRegistry, type Histogram, type MetricGroup, type Series } from './metrics.ts';
export { expositionContentType, negotiateFormat, writeSnapshot, type ExpositionFormat } from './exposition.ts';
export { profileThread, type ProfileKind, type ThreadProfile } from './profile.ts';
export type { NamedProfile } from './pprof.ts';
export { MetricsMerger } from './merger.ts';
export type { MetricsSnapshot } from './snapshot.ts';
export { labelText, type CellGroup, type CellSeries } from './cell-group.ts';
export {
  observe,
  proxyHttpLabelNames,
  proxyPeerLabelNames,
  proxyTcpLabelNames,
  registerProxyMetrics,
  type ProxyMetrics,
} from './istio-proxy.ts';
export { registerOnDemandDns, registerTcpMetrics, trafficLabel, unknownLabel } from './istio-tcp.ts';
export type { NameAsker, TcpMetricName, TcpMetrics } from './istio-tcp.ts';
export {
  compileJsonFormat,
  compileTextFormat,
  defaultJsonFormat,
  defaultTextFormat,
  parseJsonFormat,
  type JsonFormat,
  type LogOperator,
  type OperatorResolver,
} from './access-format.ts';
export { createIsoFormatter, formatTime } from './log-time.ts';
export { LineWriter } from './line-writer.ts';
export { openAccessLog, type AccessLog, type AccessLogThreshold } from './access-log.ts';
export type { AccessLogFormat, AccessLogPeer } from './access-line.ts';
export { createTraceContext, formatTraceparent, tryParseTraceparent, type TraceContext } from './trace-context.ts';
export type { Span, SpanSource } from './span.ts';
export { readTrace, writeTrace, type IncomingTrace, type TraceFormat } from './trace-propagation.ts';
