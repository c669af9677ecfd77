/** WebSockets to the API server's subresources, with the same TLS and credentials as every other call. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { WebSocket } from 'ws';
import type { ClusterAccess } from './access.ts';
import { refusalError, unreachableError } from './kube-error.ts';
import type { ConnectionSettings } from './transport.ts';

const maxRefusalBytes = 64 * 1024;
const handshakeTimeoutMs = 10_000;

/**
 * Resolves with an open socket; its first message waits a turn, so that the caller can listen. Throws KubeError: the server's refusal, or
 * `kube.unreachable`.
 */
export async function openKubeWebSocket(
  access: ClusterAccess,
  { headers, certificates }: ConnectionSettings,
  path: string,
  protocols: readonly string[],
): Promise<WebSocket> {
  const { caPem, clientCertPem, clientKeyPem } = certificates;
  const tls = {
    rejectUnauthorized: !access.insecureSkipTlsVerify,
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
    ...(clientCertPem === undefined ? {} : { cert: clientCertPem, key: clientKeyPem }),
  };
  const server = new URL(access.server);
  let tunnel: Socket | undefined;
  if (access.proxyUrl !== undefined) {
    try {
      tunnel = await openTunnel(access.proxyUrl, server);
    } catch (error) {
      throw unreachableError(access.server, error);
    }
  }
  const socket = new WebSocket(access.server.replace(/^http/, 'ws') + path, protocols.map(asToken), {
    headers: { ...headers },
    handshakeTimeout: handshakeTimeoutMs,
    perMessageDeflate: false,
    // With the names as the server knows them.
    finishRequest(request) {
      if (protocols.length > 0) request.setHeader('sec-websocket-protocol', protocols.join(','));
      request.end();
    },
    ...tls,
    ...(tunnel === undefined ? {} : { createConnection: () => throughTunnel(tunnel, server, tls) }),
  });
  socket.once('upgrade', ({ headers: answered }) => {
    const agreed = answered['sec-websocket-protocol'];
    if (agreed !== undefined) answered['sec-websocket-protocol'] = asToken(agreed);
  });
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(unreachableError(access.server, error));
    socket.once('error', onError);
    socket.once('open', () => {
      socket.off('error', onError);
      // Messages may have come with the answer to the handshake.
      socket.pause();
      setImmediate(() => socket.resume());
      resolve(socket);
    });
    socket.once('unexpected-response', (request, response) => {
      const { socket: connection } = request;
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = (): void => {
        request.destroy();
        // The answer may have left it open for another request, and the process waiting for it.
        connection?.destroy();
        reject(
          refusalError(
            `Cannot open ${path.split('?')[0]}`,
            response.statusCode ?? 0,
            Buffer.concat(chunks).toString('utf8'),
            response.headers['retry-after'],
          ),
        );
      };
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxRefusalBytes) chunks.push(chunk);
      });
      response.once('end', finish);
      response.once('error', finish);
    });
  });
}

/** `ws` takes no protocol names with a slash, such as that of a tunnel: it gets to see another one, also as `protocol`. */
function asToken(protocol: string): string {
  return protocol.replaceAll('/', '-');
}

function throughTunnel(tunnel: Socket, server: URL, tls: object): Socket {
  if (server.protocol === 'http:') return tunnel;
  const host = server.hostname.replace(/^\[|\]$/g, '');
  // A server name is a name (RFC 6066); addresses are verified by `host`.
  return tlsConnect({ host, ...(isIP(host) === 0 ? { servername: host } : {}), ...tls, socket: tunnel });
}

/** A TCP stream to `server` by CONNECT at an HTTP proxy (RFC 9110, 9.3.6). */
function openTunnel(proxyUrl: string, server: URL): Promise<Socket> {
  const proxy = new URL(proxyUrl);
  const target = `${server.hostname}:${server.port || (server.protocol === 'https:' ? 443 : 80)}`;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      timeout: handshakeTimeoutMs,
      headers: {
        host: target,
        ...(proxy.username === ''
          ? {}
          : { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
    });
    request.once('connect', (response: IncomingMessage, socket: Socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered CONNECT with ${response.statusCode}`));
    });
    request.once('timeout', () => request.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
    request.once('error', reject);
    request.end();
  });
}
