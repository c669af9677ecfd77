/** The calls of ext-authz and rate-limit, and our gRPC, with Envoy's own messages on grpc-go at the other end (test/envoy/peer). */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import type { Backend, HttpAuthorization, Provider, RateLimit } from '../../src/api/l7/index.ts';
import type { ServiceKey } from '../../src/api/names.ts';
import { createHttp2Client, serveHttp2 } from '../../src/http/h2/index.ts';
import { encodeGrpcMessage } from '../../src/http/grpc/index.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type { ClientConnection, ServerExchange } from '../../src/http/message.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { dial, tcpChannel } from '../../src/net/index.ts';
import type { HttpFilter } from '../../src/proxy/engine/filter.ts';
import type { TcpFilter, TcpVerdict } from '../../src/proxy/engine/tcp-run.ts';
import { extAuthzFilter } from '../../src/proxy/filters/ext-authz/filter.ts';
import { connectionFor, placeFor, runFor, type TestRun } from '../../src/proxy/filters/filter-fixtures.ts';
import { rateLimitFilter } from '../../src/proxy/filters/rate-limit/filter.ts';
import type { Upstreams } from '../../src/proxy/upstream/upstream.ts';
import { readCheckRequest, writeCheckResponse } from '../../src/wire/policy-service-fixtures.ts';

const peer = process.env['AMBIT_TEST_ENVOY_PEER'] ?? '';
const skip = peer === '' && "no peer: run 'npm run test:envoy'";

const backend: Backend = {
  kind: 'backend',
  name: 'outbound|9000||peer.shop.svc.cluster.local',
  service: 'shop/peer.shop.svc.cluster.local' as ServiceKey,
  hostname: 'peer.shop.svc.cluster.local',
  port: 9000,
  protocol: 'http2',
  throughWaypoint: false,
  loadBalancer: { kind: 'round-robin' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 1000 },
};

const origin = { kind: 'Test', namespace: 'shop', name: 'x', generation: 1 };

const authorization: HttpAuthorization = {
  kind: 'authorization',
  name: 'shop/ask',
  origin,
  action: 'custom',
  provider: 'authz',
  dryRun: false,
  rules: [{ from: [], to: [], when: [] }],
};

const authorizer: Provider = {
  kind: 'provider',
  name: 'authz',
  backend: backend.name,
  use: {
    kind: 'ext-authz-grpc',
    timeoutMs: 200,
    failOpen: false,
    statusOnError: 503,
    pathPrefix: '',
    includeHeaders: [],
    addHeaders: [],
    body: { maxBytes: 4, allowPartial: true, packAsBytes: false },
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnDeny: [],
    headersToDownstreamOnAllow: [],
  },
};

const limiter: Provider = { kind: 'provider', name: 'limits', backend: backend.name, use: { kind: 'rate-limit' } };

const rateLimit: RateLimit = {
  kind: 'rate-limit',
  name: 'shop/limit',
  origin,
  limits: [
    {
      name: 'per-user',
      matches: [],
      by: [{ kind: 'header', name: 'x-user', key: 'user' }],
      enforcement: { kind: 'global', provider: 'limits', domain: 'shop', timeoutMs: 2_000, failOpen: false },
      dryRun: false,
      status: 429,
    },
  ],
};

/** Upstreams that lead to one connection. */
function upstreamsOver(client: ClientConnection): Upstreams {
  const unexpected = (): never => {
    throw new Error('Only calls are expected here');
  };
  return {
    open: (_, { head, ends }, reader) =>
      client.request(head, ends, {
        onInformational() {},
        onResponse: (response, over) => reader.onResponse(response, over),
        onData: (bytes) => reader.onData(bytes),
        onEnd: (trailers) => reader.onEnd(trailers),
        onDrain() {},
        onClose: (error) =>
          reader.onClose(error && { kind: 'local-reset', flag: '', message: error.message, sent: 'maybe' }),
      }) as ReturnType<Upstreams['open']>,
    apply: unexpected,
    connect: unexpected,
    describe: unexpected,
    startRetry: unexpected,
    drain: unexpected,
    close: unexpected,
  };
}

describe("policy services with Envoy's messages", { skip }, () => {
  let server: ChildProcessByStdio<Writable, Readable, null>;
  let client: ClientConnection;
  let closed: Promise<void>;
  let extAuthz: HttpFilter;
  let ofConnections: TcpFilter;
  let limits: HttpFilter;

  before(async () => {
    server = spawn(peer, ['serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const socket = await dial({ host: '127.0.0.1', port: Number(line.toString()), timeoutMs: 2_000 });
    const ready = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    closed = over.promise;
    client = createHttp2Client(tcpChannel(socket), {
      listener: { onChange: () => client.canOpen && ready.resolve(), onClose: () => over.resolve() },
    });
    await ready.promise;
    const place = placeFor(
      { authorization: [authorization], rateLimits: [rateLimit], providers: [authorizer, limiter] },
      { clock: systemClock, upstreams: upstreamsOver(client), backends: [backend] },
    );
    extAuthz = extAuthzFilter.build(place) as HttpFilter;
    ofConnections = extAuthzFilter.buildTcp?.(place) as TcpFilter;
    limits = rateLimitFilter.build(place) as HttpFilter;
  });

  after(async () => {
    client.drain();
    await closed;
    server.stdin.end();
    await once(server, 'exit');
  });

  const fieldsOf = (filter: HttpFilter, run: TestRun): Record<string, string> => {
    const headers = new HeaderList();
    void filter.onResponse?.(run, { status: 200, headers });
    return Object.fromEntries(headers);
  };

  it('an authorizer reads all that it is told, and its changes are made', async () => {
    const run = runFor({
      method: 'POST',
      path: '/a?b=c',
      headers: ['x-ext-authz', 'allow', 'x-user', 'ann', 'content-length', '5'],
      body: 'hello',
    });
    assert.equal(await extAuthz.onRequest?.(run), undefined);
    const asked = JSON.parse(run.request.headers.get('x-asked') ?? '') as {
      attributes: Record<string, Record<string, unknown>>;
    };
    const { source, destination, request } = asked.attributes;
    assert.deepEqual(source, {
      address: { socketAddress: { address: '10.244.1.5', portValue: 40_000 } },
      principal: 'spiffe://cluster.local/ns/web/sa/front',
    });
    assert.deepEqual(destination, {
      address: { socketAddress: { address: '10.96.0.9', portValue: 80 } },
      principal: 'spiffe://cluster.local/ns/shop/sa/waypoint',
    });
    assert.deepEqual(request?.['http'], {
      id: '8f2f0f5e-0000-4000-8000-000000000000',
      method: 'POST',
      headers: {
        ':authority': 'web.shop:80',
        ':method': 'POST',
        ':path': '/a?b=c',
        ':scheme': 'http',
        'content-length': '5',
        'x-envoy-auth-partial-body': 'true',
        'x-ext-authz': 'allow',
        'x-user': 'ann',
      },
      path: '/a?b=c',
      host: 'web.shop:80',
      scheme: 'http',
      query: 'b=c',
      size: '5',
      protocol: 'HTTP/1.1',
      body: 'hell',
    });
    assert.equal(run.request.headers.has('x-ext-authz'), false);
    assert.deepEqual(fieldsOf(extAuthz, run), { 'x-checked': 'yes' });
  });

  it('an authorizer is told of connections without HTTP who is at their ends', async () => {
    const decide = (sni: string): TcpVerdict =>
      ofConnections.onConnection?.(connectionFor({ sni }), new AbortController().signal);
    assert.equal(await decide('db.example'), undefined);
    const refusal = await decide('other.example');
    assert.equal(refusal?.details, 'ext_authz_denied');
    assert.match(
      refusal.reason,
      /not spiffe:\/\/cluster\.local\/ns\/web\/sa\/front to address:"10\.96\.0\.9"\s+port_value:80/,
    );
  });

  it('an authorizer denies, plainly or with an answer of its own', async () => {
    const plain = await extAuthz.onRequest?.(runFor({}));
    assert.deepEqual([plain?.status, plain?.reason], [403, 'authorizer "authz" denied it: not you']);
    const other = await extAuthz.onRequest?.(runFor({ headers: ['x-ext-authz', 'redirect'] }));
    assert.deepEqual(
      [other?.status, other?.headers?.fields, other?.body, other?.reason],
      [302, ['location', '/login'], 'go and log in', 'authorizer "authz" denied it: who are you'],
    );
  });

  it('an authorizer that fails or takes too long is an error', async () => {
    const failed = await extAuthz.onRequest?.(runFor({ headers: ['x-ext-authz', 'fail'] }));
    assert.deepEqual([failed?.status, failed?.details], [503, 'ext_authz_error']);
    assert.match(failed?.reason ?? '', /no database: 100 % of it, Ünïcödé/);
    const late = await extAuthz.onRequest?.(runFor({ headers: ['x-ext-authz', 'wait'] }));
    assert.equal(late?.details, 'ext_authz_error');
    assert.equal(client.activeRequests, 0);
  });

  it('a rate limit service counts by descriptor', async () => {
    const ask = async (user: string): Promise<[number | undefined, Record<string, string>]> => {
      const run = runFor({ headers: ['x-user', user] });
      const reply = await limits.onRequest?.(run);
      return [reply?.status, fieldsOf(limits, run)];
    };
    const report = (remaining: number) => ({
      'x-ratelimit-limit': '3, 3;w=60',
      'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': '42',
    });
    for (const remaining of [2, 1, 0]) assert.deepEqual(await ask('ann'), [undefined, report(remaining)]);
    assert.deepEqual(await ask('ann'), [429, report(0)]);
    assert.deepEqual(await ask('bob'), [undefined, report(2)]);
  });
});

describe('gRPC clients of grpc-go on our HTTP/2', { skip }, () => {
  it('are served: large messages, many at once, statuses, deadlines and cancellation', async () => {
    let resets = 0;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      serveHttp2(tcpChannel(socket), {
        listener: { onRequest: (exchange) => collect(exchange, () => void resets++) },
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const child = spawn(peer, ['call', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    server.close();
    await once(server, 'close');
    assert.equal(code, 0);
    assert.deepEqual(output.trim().split('\n'), [
      'once: 0 /one',
      'large: 0 1048576',
      'failed: Internal: broken, 100 % of it: Ünïcödé',
      'trailers only: PermissionDenied: not you',
      'side by side: 200',
      'late: DeadlineExceeded',
      'given up: Canceled',
      'again: 0 /two',
    ]);
    assert.equal(resets, 2);
  });
});

function collect(exchange: ServerExchange, onReset: () => void): void {
  const chunks: Buffer[] = [];
  exchange.read({
    onData(bytes) {
      chunks.push(Buffer.from(bytes));
      exchange.credit(bytes.length);
    },
    onEnd: () => answer(exchange, Buffer.concat(chunks)),
    onDrain() {},
    onClose: (error) => error && onReset(),
  });
}

function answer(exchange: ServerExchange, body: Buffer): void {
  const http = readCheckRequest(body.subarray(5)).attributes?.request?.http;
  const how = http?.headers['x-ext-authz'];
  const path = http?.path ?? '';
  const headers = new HeaderList(['content-type', 'application/grpc']);
  if (how === 'wait') return;
  if (how === 'trailers-only') {
    exchange.respond({ status: 200, headers: headers.add('grpc-status', '7').add('grpc-message', 'not you') }, true);
    return;
  }
  exchange.respond({ status: 200, headers }, false);
  if (how === 'fail') {
    const message = encodeGrpcMessage('broken, 100 % of it: Ünïcödé');
    exchange.end(new HeaderList(['grpc-status', '13', 'grpc-message', message]));
    return;
  }
  const value = how === 'length' ? String(path.length) : path;
  const message = writeCheckResponse({
    status: { code: 0 },
    httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'x', value } }] } },
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  exchange.write(prefix);
  exchange.write(message);
  exchange.end(new HeaderList(['grpc-status', '0']));
}
