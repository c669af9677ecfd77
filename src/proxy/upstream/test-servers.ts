/** Servers on loopback that a test's upstream reaches: applications, and a ztunnel in front of them (tests only). */
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { serveHbone, type ConnectRequest } from '../../hbone/index.ts';
import { acceptTls, type WorkloadCertificate } from '../../identity/index.ts';
import { dial, listen, pump, tcpChannel, tlsChannel, type Listener } from '../../net/index.ts';

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
}

/** HTTP/1.1: answers with method, path and body. */
export function startHttp(): Promise<TestServer> {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () =>
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`.trim()),
    );
  });
  return started(server);
}

/** HTTP over TLS: answers with the version, the server name that was asked for, and the client's names, unless `onRequest` says never. */
export function startHttps(options: TlsOptions, onRequest?: () => 'never'): Promise<TestServer> {
  const server = createSecureServer({ ...options, allowHTTP1: true }, (request, response) => {
    if (onRequest?.() === 'never') return;
    const socket = request.socket as TLSSocket;
    const client = socket.getPeerCertificate().subjectaltname ?? 'nobody';
    response.end(`${request.httpVersion} ${String(socket.servername)} ${client}`);
  });
  return started(server);
}

/** Takes every upgrade, and says what it was told. */
export function startWebSocket(): Promise<TestServer> {
  const server = createHttpServer();
  server.on('upgrade', (request, socket) => {
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${String(request.headers.upgrade)}\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk.toString()}`));
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  });
  return started(server);
}

/** Raw bytes: answers with all that came, when the client has ended. */
export function startEcho(onConnection: (socket: Socket) => void = () => {}): Promise<TestServer> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(Buffer.concat(chunks)));
    socket.on('error', () => {});
    onConnection(socket);
  });
  return started(server);
}

async function started(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface TestZtunnel extends TestServer {
  readonly requests: {
    readonly authority: string;
    readonly from: string;
    readonly forwarded: string;
    readonly baggage: string;
    readonly traceparent: string;
    /** `x-istio-source` and `x-forwarded-network`. */
    readonly source: string;
    readonly network: string;
  }[];
}

/** Carries every tunnel to `appPort`. */
export async function startZtunnel(certificate: WorkloadCertificate, appPort: number): Promise<TestZtunnel> {
  const closes: (() => void)[] = [];
  const requests: TestZtunnel['requests'] = [];
  let connections = 0;
  const carry = async (request: ConnectRequest): Promise<void> => {
    const socket = await dial({ host: '127.0.0.1', port: appPort, timeoutMs: 5000 });
    pump(request.accept(), tcpChannel(socket), { onEnd() {} });
  };
  const listener: Listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection({ socket }) {
      // Whom we refused is not heard of again before its handshake times out.
      closes.push(() => socket.destroy());
      acceptTls({ socket, certificate }).then(
        (accepted) => {
          connections++;
          const session = serveHbone(tlsChannel(accepted.socket), {
            onConnect(request) {
              const header = (name: string): string => request.headers.get(name) ?? '';
              requests.push({
                authority: request.authority,
                from: accepted.identity,
                forwarded: header('forwarded'),
                baggage: header('baggage'),
                traceparent: header('traceparent'),
                source: header('x-istio-source'),
                network: header('x-forwarded-network'),
              });
              carry(request).catch(() => request.refuse(503));
            },
          });
          closes.push(() => session.close());
        },
        () => socket.destroy(),
      );
    },
  });
  return {
    port: listener.address.port,
    requests,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const run of closes) run();
      await listener.close();
    },
  };
}
