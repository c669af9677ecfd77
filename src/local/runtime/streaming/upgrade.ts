/** The answer to an upgrade request: which protocol a client and we share, and the connection that follows. */
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

/** A client's messages; kubectl's are 32 KiB at most. */
const maxMessageBytes = 4 * 1024 * 1024;
/** `ws` knows no protocol names with a slash, such as the tunnel's: it gets to see this one. */
const stand = 'agreed';

/** The protocol that was agreed on for a request; "" for none. */
const agreed = new WeakMap<IncomingMessage, string>();
const webSockets = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  handleProtocols: (_, request) => agreed.get(request) || false,
});

export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Opens a WebSocket with the first of the client's protocols that we speak; refuses it with 400 when there is none. */
export function acceptWebSocket(
  upgrade: UpgradeRequest,
  protocols: readonly string[],
  onOpen: (webSocket: WebSocket) => void,
): void {
  const { request, socket, head } = upgrade;
  const offered = listOf(request.headers['sec-websocket-protocol']);
  const protocol = (offered.length === 0 ? [''] : offered).find((each) => protocols.includes(each));
  if (protocol === undefined)
    return refuseUpgrade(socket, 400, `requested protocols are not supported: ${offered.join(', ')}`);
  agreed.set(request, protocol);
  if (protocol === '') delete request.headers['sec-websocket-protocol'];
  else request.headers['sec-websocket-protocol'] = stand;
  webSockets.handleUpgrade(request, socket, head, onOpen);
}

/** Answers a SPDY/3.1 upgrade and gives the protocol for it; refuses it with 403, as Kubernetes does, when there is none. */
export function acceptSpdy(
  upgrade: UpgradeRequest,
  protocols: readonly string[],
  onOpen: (protocol: string) => void,
): void {
  const { request, socket, head } = upgrade;
  if (request.headers.upgrade?.toLowerCase() !== 'spdy/3.1')
    return refuseUpgrade(socket, 400, `unable to upgrade: missing upgrade headers in request`);
  const name = 'X-Stream-Protocol-Version';
  const offered = listOf(request.headers[name.toLowerCase()]);
  const protocol = offered.length === 0 ? protocols.at(-1) : offered.find((each) => protocols.includes(each));
  if (protocol === undefined) {
    const problem = `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${protocols.join(' ')}]`;
    return refuseUpgrade(socket, 403, problem, [`X-Accepted-Stream-Protocol-Versions: ${protocols.join(', ')}`]);
  }
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: SPDY/3.1'];
  if (offered.length > 0) lines.push(`${name}: ${protocol}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) socket.unshift(head);
  onOpen(protocol);
}

/** Ends a connection that asked for an upgrade with a plain answer. */
export function refuseUpgrade(socket: Duplex, code: number, message: string, headers: readonly string[] = []): void {
  const body = `${message}\n`;
  const lines = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Refused'}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

function listOf(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}
