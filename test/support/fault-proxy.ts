/** An HTTP proxy in front of an API server that breaks what goes through it, at points that the test chooses. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

/** `afterBytes` counts the bytes of the answer's body that still get through. */
export type Fault =
  /** An answer of its own; the server never hears of the request. */
  | { readonly kind: 'status'; readonly code: number; readonly retryAfterSeconds?: number }
  /** A reset of the connection. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** An answer that ends as if it were whole. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** A connection that stays up, and through which nothing comes any more. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Every piece comes late. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** A watch that says it is too old, in its first line. */
  | { readonly kind: 'expire' };

export interface ProxiedRequest {
  readonly method: string;
  readonly url: URL;
  readonly isWatch: boolean;
  /** A watch that begins with a list. */
  readonly isStream: boolean;
  /** A later page of a list. */
  readonly isContinued: boolean;
}

export interface FaultProxyOptions {
  /** `https://host:port`; what it presents is not verified. */
  readonly target: string;
  readonly choose: (request: ProxiedRequest) => Fault | undefined;
}

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  /** How often each kind of fault was made. */
  readonly counts: ReadonlyMap<string, number>;
  /** Cuts every connection that there is. */
  cutAll(): void;
}

/** Opens it on the loopback. */
export async function openFaultProxy({ target, choose }: FaultProxyOptions): Promise<FaultProxy> {
  const counts = new Map<string, number>();
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://proxy');
    const isWatch = url.searchParams.get('watch') === 'true';
    const fault = choose({
      method: request.method ?? 'GET',
      url,
      isWatch,
      isStream: isWatch && url.searchParams.get('sendInitialEvents') === 'true',
      isContinued: url.searchParams.has('continue'),
    });
    if (fault) {
      const name = fault.kind === 'status' ? `status ${fault.code}` : fault.kind;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    if (fault?.kind === 'status') return answerStatus(response, fault.code, fault.retryAfterSeconds);
    if (fault?.kind === 'expire') return answerExpired(response);
    return forward(request, response, { target, agent, fault });
  });
  // Streams are long.
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    cutAll: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answerStatus(response: ServerResponse, code: number, retryAfterSeconds: number | undefined): void {
  const reasons: Readonly<Record<number, string>> = { 410: 'Expired', 422: 'Invalid', 429: 'TooManyRequests' };
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', String(retryAfterSeconds));
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, reason: reasons[code] ?? 'InternalError' }));
}

function answerExpired(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const object = {
    kind: 'Status',
    status: 'Failure',
    code: 410,
    reason: 'Expired',
    message: 'too old resource version',
  };
  response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { target, agent, fault }: { target: string; agent: Agent; fault: Fault | undefined },
): void {
  const upstream = httpsRequest(new URL(request.url ?? '/', target), {
    agent,
    method: request.method ?? 'GET',
    headers: { ...request.headers, host: new URL(target).host },
  });
  let left = fault && 'afterBytes' in fault ? fault.afterBytes : Infinity;
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, withoutLength(answer.headers));
    response.flushHeaders();
    let late = Promise.resolve();
    answer.on('data', (chunk: Buffer) => {
      if (fault?.kind === 'delay') {
        // In order, each a little later.
        late = late.then(() => new Promise((resolve) => setTimeout(resolve, fault.ms))).then(() => pass(chunk));
        return;
      }
      pass(chunk);
    });
    const pass = (chunk: Buffer): void => {
      if (left <= 0 || response.destroyed) return;
      response.write(chunk.subarray(0, Math.min(chunk.length, left)));
      left -= chunk.length;
      if (left > 0) return;
      if (fault?.kind === 'reset') response.socket?.resetAndDestroy();
      if (fault?.kind === 'truncate') response.end();
      // Stalled: the server may go on, nobody hears of it.
      if (fault?.kind !== 'stall') upstream.destroy();
    };
    answer.on('end', () => {
      void late.then(() => {
        if (fault?.kind !== 'stall' || left > 0) response.end();
      });
    });
    answer.on('error', () => response.destroy());
  });
  upstream.on('error', () => response.destroy());
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

/** An answer may be cut without a word only when it did not say how long it is. */
function withoutLength(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const { 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...rest } = headers;
  return rest;
}
