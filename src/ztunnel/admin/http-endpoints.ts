/** The proxy's own HTTP: admin on loopback, metrics and readiness for the node. Nothing here carries users' bytes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { expositionContentType, negotiateFormat, type ExpositionFormat } from '../../telemetry/index.ts';
import type { LogLevels } from './log-levels.ts';
import type { Readiness } from '../control-part/readiness.ts';

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

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

/** `/config_dump`, `/logging`, `/quitquitquit`. */
export function serveAdmin(
  options: EndpointOptions & {
    readonly dump: () => Promise<unknown>;
    readonly levels: LogLevels;
    readonly quit: () => void;
  },
): Promise<RunningEndpoint> {
  const { dump, levels, quit } = options;
  return serveHttp(options, async (request, response, url) => {
    switch (url.pathname) {
      case '/':
        return answer(
          response,
          200,
          'GET /config_dump\nPOST /logging?level=LEVEL|SCOPE:LEVEL,...&reset\nPOST /quitquitquit\n',
        );
      case '/config_dump':
        return answer(response, 200, `${JSON.stringify(await dump(), undefined, 2)}\n`, 'application/json');
      case '/logging': {
        if (request.method !== 'POST') return answer(response, 405, 'use POST\n');
        if (url.searchParams.has('reset')) levels.reset();
        const level = url.searchParams.get('level');
        const problem = level === null ? undefined : levels.set(level);
        if (problem !== undefined) return answer(response, 400, `${problem}\n`);
        return answer(response, 200, `current log level is ${levels.describe()}\n`);
      }
      case '/quitquitquit':
        if (request.method !== 'POST') return answer(response, 405, 'use POST\n');
        answer(response, 200, 'shutdown now\n');
        return quit();
      default:
        return answer(response, 404, 'not found\n');
    }
  });
}

export function serveMetrics(
  options: EndpointOptions & { readonly write: (format: ExpositionFormat) => Promise<string> },
): Promise<RunningEndpoint> {
  return serveHttp(options, async (request, response, url) => {
    if (url.pathname !== '/metrics' && url.pathname !== '/stats/prometheus')
      return answer(response, 404, 'not found\n');
    const format = negotiateFormat(request.headers.accept);
    answer(response, 200, await options.write(format), expositionContentType[format]);
  });
}

export function serveReadiness(options: EndpointOptions & { readonly readiness: Readiness }): Promise<RunningEndpoint> {
  return serveHttp(options, (_request, response, url) => {
    if (url.pathname !== '/healthz/ready') return answer(response, 404, 'not found\n');
    const { pending } = options.readiness;
    if (pending.length === 0) answer(response, 200, 'ready\n');
    else answer(response, 500, `not ready, pending: ${pending.join(', ')}\n`);
  });
}

async function serveHttp(options: EndpointOptions, handler: Handler): Promise<RunningEndpoint> {
  const { host, port, log } = options;
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    void run(handler, request, response).catch((error: unknown) => {
      log.warn('request failed', { path: request.url, error: messageOf(error) });
      if (!response.headersSent) answer(response, 500, `${messageOf(error)}\n`);
      else response.destroy();
    });
  });
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const at = host === undefined ? `port ${port}` : `${host}:${port}`;
      reject(
        new AmbitError(`Cannot listen on ${at}: ${messageOf(error)}`, {
          code: 'ztunnel.listen-failed',
          blame: 'internal',
          cause: error,
        }),
      );
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

async function run(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const url = URL.parse(request.url ?? '/', 'http://proxy');
  if (!url) return answer(response, 400, 'bad request\n');
  await handler(request, response, url);
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
