/** HBONE: TCP tunnels as HTTP/2 CONNECT over mutual TLS; the server of 15008 and the client's pool. */
export { reasonHeader } from './errors.ts';
export { createHbonePool, type HbonePool } from './pool.ts';
export { poolKeyId, type PoolKey } from './pool-key.ts';
export { type ConnectRequest, serveHbone, type HboneServerSession } from './server.ts';
