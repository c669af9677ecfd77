/** WebSockets to the API server's subresources, with the same TLS and credentials as every other call. */
import { WebSocket } from 'ws';
import { refusalError, unreachableError } from './kube-error.ts';
import type { ClusterAccess } from './kubeconfig.ts';

const maxRefusalBytes = 64 * 1024;

/**
 * Resolves with an open socket; its first message waits a turn, so that the caller can listen. Throws KubeError: the server's refusal, or
 * `kube.unreachable`.
 */
export function openKubeWebSocket(
  access: ClusterAccess,
  path: string,
  protocols: readonly string[],
): Promise<WebSocket> {
  const token = access.token?.();
  const socket = new WebSocket(access.server.replace(/^http/, 'ws') + path, [...protocols], {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    handshakeTimeout: 10_000,
    perMessageDeflate: false,
    rejectUnauthorized: !access.insecureSkipTlsVerify,
    ...(access.caPem === undefined ? {} : { ca: access.caPem }),
    ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
    ...(access.clientCertPem === undefined ? {} : { cert: access.clientCertPem, key: access.clientKeyPem }),
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
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = (): void => {
        request.destroy();
        reject(
          refusalError(
            `Cannot open ${path.split('?')[0]}`,
            response.statusCode ?? 0,
            Buffer.concat(chunks).toString('utf8'),
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
