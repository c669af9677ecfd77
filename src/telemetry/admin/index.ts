/** The HTTP that proxies have for themselves: admin, metrics, readiness. Apart from the rest of telemetry, as it loads a server. */
export { dumpPage, loggingPage, profilePages, quitPage, serveAdmin, type Page } from './admin-endpoint.ts';
export { answer, type RunningEndpoint } from './http-server.ts';
export { createLogLevels, followAccessLevel, type LogLevels, type LogScopes } from './log-levels.ts';
export { serveMetrics } from './metrics-endpoint.ts';
export { Readiness } from './readiness.ts';
export { serveReadiness } from './readiness-endpoint.ts';
