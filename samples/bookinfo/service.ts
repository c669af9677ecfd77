/** What the four services share: a JSON-and-HTML server that logs its requests, and a client that passes tracing on. */
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from 'node:http';
import { hostname } from 'node:os';

export interface Answer {
  readonly status: number;
  readonly body: string | object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The whole body as text, at most 64 KiB. */
  readonly body: () => Promise<string>;
}

export type Handler = (asked: Asked) => Answer | Promise<Answer>;

/** Headers that a service hands on to those it calls, so that traces and users are followed through. */
const passedOn = /^(x-request-id|traceparent|tracestate|baggage|x-b3-.*|b3|end-user|user-agent|authorization|cookie)$/;
const maxBodyBytes = 64 * 1024;

export const podName: string = process.env['HOSTNAME'] ?? hostname();

export function json(body: object, status = 200): Answer {
  return { status, body };
}

export const notFound: Answer = json({ error: 'not found' }, 404);

/** Serves until SIGTERM. `PORT` overrides 9080. */
export function serve(name: string, handler: Handler): void {
  const port = Number(process.env['PORT'] ?? 9080);
  const server = createService(name, handler);
  server.listen(port, () => console.log(`${name} listens on port ${port}`));
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

export function createService(name: string, handler: Handler): Server {
  return createServer((request, response) => {
    void answer(request, handler).then(({ status, body, headers }) => {
      const isText = typeof body === 'string';
      const bytes = Buffer.from(isText ? body : JSON.stringify(body));
      response.writeHead(status, {
        'content-type': isText ? 'text/html; charset=utf-8' : 'application/json',
        'content-length': bytes.length,
        ...headers,
      });
      response.end(bytes);
      const from = request.socket.remoteAddress?.replace(/^::ffff:/, '');
      if (request.url !== '/health') console.log(`${name} ${from} ${request.method} ${request.url} ${status}`);
    });
  });
}

/** The JSON that another service answers. Throws on anything but 200. Each call has a connection of its own. */
export function getJson(
  url: string,
  { headers, timeoutMs = 3000 }: { headers: IncomingHttpHeaders; timeoutMs?: number },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const forwarded = Object.fromEntries(Object.entries(headers).filter(([name]) => passedOn.test(name)));
    const call = httpRequest(
      url,
      { agent: false, headers: forwarded, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        readText(response).then((text) => {
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(`${url} answered ${response.statusCode}`));
        }, reject);
      },
    );
    call.on('error', reject);
    call.end();
  });
}

async function answer(request: IncomingMessage, handler: Handler): Promise<Answer> {
  const { method = 'GET', url = '/', headers } = request;
  try {
    return await handler({ method, path: url.split('?')[0] ?? '/', headers, body: () => readText(request) });
  } catch (error) {
    console.error(error);
    return json({ error: 'internal error' }, 500);
  }
}

async function readText(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error('The body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
