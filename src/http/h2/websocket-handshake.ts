/** The opening handshake of WebSocket in HTTP/1.1 (RFC 6455 section 4), which extended CONNECT does without (RFC 8441). */
import { createHash, randomBytes } from 'node:crypto';

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A new `Sec-WebSocket-Key`. */
export function webSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** The `Sec-WebSocket-Accept` that answers a key. */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}${guid}`).digest('base64');
}
