/** The embedded Kubernetes-compatible API server. */
export { startApiServer, type RunningApiServer } from './server.ts';
