/** HTTP/1.1 over a byte channel, both sides, as `message.ts` says. */
export { createHttp1Client, type Http1ClientOptions } from './client-connection.ts';
export { serveHttp1, type Http1ServerOptions } from './server-connection.ts';
export type { Http1Limits } from './limits.ts';
