/** Metrics, access logs and traces of the proxy. */
export { createProxyTelemetry, type ProxyTelemetry, type ProxyTelemetryOptions } from './proxy-telemetry.ts';
export { createLogFiles } from './log-files.ts';
export type { WriteLines } from './access-logs.ts';
