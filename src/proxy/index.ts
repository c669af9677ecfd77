/** The L7 engine: waypoint, gateway, sidecar by configuration. */
export { parseProxyConfig, type ProxyProcessConfig } from './config/proxy-config.ts';
export { startProxy, type RunningProxy } from './start.ts';
