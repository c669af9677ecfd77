/** HBONE: TCP tunnels as HTTP/2 CONNECT over mutual TLS; the server of 15008 and the client's pool. */
export { HboneRefusedError, reasonHeader } from './errors.ts';
export { createHbonePool, defaultHbonePoolLimits } from './pool.ts';
export type {
  HbonePool,
  HbonePoolLimits,
  HbonePoolOptions,
  HbonePoolStats,
  PooledConnectionInfo,
  TunnelRequest,
} from './pool.ts';
export { poolKeyId, type PoolKey, type TunnelKeyParts } from './pool-key.ts';
export { type ConnectRequest, serveHbone, type HboneServerOptions, type HboneServerSession } from './server.ts';
export type { TunnelChannel } from './connect-attempt.ts';
