/** HBONE: TCP tunnels as HTTP/2 CONNECT over mutual TLS; the server of 15008 and the client's pool. */
export {
  formatBaggage,
  formatForwarded,
  isFromOtherNetwork,
  parseBaggage,
  parseForwardedHost,
  sourceHeader,
  type WorkloadLabels,
} from './baggage.ts';
export { HboneRefusedError, reasonHeader } from './errors.ts';
export type { TunnelChannel } from './connect-attempt.ts';
export { tunnelDialer, type TunnelDialerOptions, type TunnelKey } from './dialer.ts';
export { IdleBound } from './idle-tunnels.ts';
export { createHbonePool, type HbonePool } from './pool.ts';
export { poolKeyId, type PoolKey } from './pool-key.ts';
export { type ConnectRequest, serveHbone, type HboneServerSession } from './server.ts';
export { openInnerTunnel } from './inner-tunnel.ts';
