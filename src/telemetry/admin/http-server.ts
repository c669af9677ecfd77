/** A proxy's own HTTP, which never carries users' bytes: listening, answering, long answers in pieces. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { createServer } from '../../lib/node-http.ts';

export interface EndpointOptions {
  /** Absent: all addresses. */
  readonly host?: string;
  /** 0: the kernel picks. */
  readonly port: number;
  readonly log: Log;
}

export interface RunningEndpoint {
  readonly port: number;
  close(): Promise<void>;
}

export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
}

/** Serves requests until closed. Rejects with `admin.listen-failed`. */
export async function serveHttp(
  options: EndpointOptions,
  handler: (exchange: HttpExchange) => Promise<void> | void,
): Promise<RunningEndpoint> {
  const { host, port, log } = options;
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    void run(handler, request, response).catch((error: unknown) => {
      log.warn('request failed', { path: request.url, error: messageOf(error) });
      if (!response.headersSent) answer(response, 500, `${messageOf(error)}\n`);
      else response.destroy();
    });
  });
  boundConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const at = host === undefined ? `port ${port}` : `${host}:${port}`;
      reject(
        new AmbitError(`Cannot listen on ${at}: ${messageOf(error)}`, {
          code: 'admin.listen-failed',
          blame: 'internal',
          cause: error,
        }),
      );
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

/** Beyond these the oldest goes: who holds connections open keeps neither the kubelet nor Prometheus out. */
const maxConnections = 256;

function boundConnections(server: Server): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    const [oldest] = open;
    if (oldest && open.size >= maxConnections) {
      open.delete(oldest);
      oldest.destroy();
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
}

export function answer(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** Gathered before they are written. */
const pieceLength = 64 * 1024;
/** After this long others have their turn, however little was written. */
const sliceMs = 2;

/** Writes a long text as it is made, at the pace of the reader, and never holds the loop for long. Ends `to`; stops early when it closes. */
export async function writePieces(pieces: Iterable<string> | AsyncIterable<string>, to: Writable): Promise<void> {
  let text = '';
  let until = performance.now() + sliceMs;
  for await (const piece of pieces) {
    text += piece;
    const isLate = performance.now() >= until;
    if (text.length < pieceLength && !isLate) continue;
    if (to.destroyed) return;
    const hasRoom = text === '' || to.write(text);
    text = '';
    if (hasRoom) await new Promise((resolve) => setImmediate(resolve));
    else await drained(to);
    until = performance.now() + sliceMs;
  }
  to.end(text);
}

function drained(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done);
      to.off('close', done);
      resolve();
    };
    to.on('drain', done);
    to.on('close', done);
  });
}

async function run(
  handler: (exchange: HttpExchange) => Promise<void> | void,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  const url = URL.parse(request.url ?? '/', 'http://proxy');
  if (!url) return answer(response, 400, 'bad request\n');
  await handler({ request, response, url });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
