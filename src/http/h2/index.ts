/** HTTP/2 over a byte channel: sessions and streams for both roles, exchanges of requests on them. `src/hbone` adds CONNECT. */
export { errorCode } from './constants.ts';
export { Http2Error } from './errors.ts';
export { ReceiveBudget } from './flow-control.ts';
export { createHttp2Client, type Http2ClientOptions } from './http2-client.ts';
export type { Http2Limits } from './limits.ts';
export { type Http2ServerOptions, serveHttp2 } from './serve-http2.ts';
export { Http2Session, type SessionHandler } from './session.ts';
export { type Http2Stream, type StreamHandler } from './stream.ts';
export { ByteQueue } from './byte-queue.ts';
export { deferToTurnEnd, type TurnTask } from './turn-queue.ts';
