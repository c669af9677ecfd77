/** The L7 engine: waypoint, gateway, sidecar by configuration. */
export { assembleSnapshot } from './config/assemble.ts';
export type { ProxySnapshot } from './config/snapshot.ts';
export { parseProxyConfig, type ProxyProcessConfig } from './config/proxy-config.ts';
export { startProxy, type RunningProxy } from './start.ts';
