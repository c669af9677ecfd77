/** The embedded Kubernetes-compatible API server. */
export { startApiServer, type ApiServerOptions, type RunningApiServer } from './server.ts';
