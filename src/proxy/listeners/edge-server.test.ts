import assert from 'node:assert/strict';
import { connect, Socket } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../../../test/support/run.ts';
import type { RouteTable } from '../../api/l7/index.ts';
import type { SpiffeId } from '../../api/names.ts';
import { compileRoutes } from '../../decision/routes/index.ts';
import { listen, memoryChannelPair } from '../../net/index.ts';
import { engineBench, testConnection } from '../engine/engine-fixtures.ts';
import type { HttpRun } from '../engine/http-run.ts';
import { serveApplication } from './application-connection.ts';
import { EdgeServer } from './edge-server.ts';
import { LateNews } from './late-news.ts';
import { LeftWorkloads } from './left-workloads.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';

function contextOf(more: object = {}): {
  readonly context: ListenerContext;
  readonly bench: ReturnType<typeof engineBench>;
} {
  const bench = engineBench();
  const places = [{ ...bench.place, server: { protocol: 'https', hostname: '*' } }];
  const { clock, mesh } = bench.place.services;
  const ended = new AbortController().signal;
  const context: ListenerContext = {
    services: bench.place.services,
    identity: 'spiffe://cluster.local/ns/shop/sa/edge' as SpiffeId,
    own: () => undefined,
    certificate: () => Promise.reject(new Error('not here')),
    config: () => ({ serverPlaces: () => places, snapshot: { listeners: new Map() }, ...more }) as never,
    ended,
    live: new LiveConnections(),
    late: new LateNews({ mesh, clock, ended }),
    left: new LeftWorkloads({ mesh, clock, ended, own: () => undefined, onLeave() {} }),
  };
  return { context, bench };
}

test('clients who begin handshakes and leave them make room for those who come', async () => {
  const { context } = contextOf();
  const server = new EdgeServer(context, 'https');
  const sockets = Array.from({ length: 2001 }, () => new Socket().on('error', () => {}));
  const served = sockets.map((socket) => server.serve({ socket, remoteAddress: '203.0.113.1', remotePort: 1 }));
  try {
    assert.deepEqual([sockets[0]?.destroyed, sockets[1]?.destroyed, sockets.at(-1)?.destroyed], [true, false, false]);
  } finally {
    for (const socket of sockets) socket.destroy();
    await Promise.all(served);
  }
});

test('a client of HTTP that never begins is not waited for without end', async () => {
  const { context, bench } = contextOf();
  const [channel] = memoryChannelPair();
  const here = { place: bench.place, placeOf: () => bench.place, tcpPlace: () => bench.place };
  const common = { context, channel, connection: testConnection, ...here };
  const served = serveApplication({ ...common, protocol: 'http', trust: 'edge' });
  assert.equal(bench.clock.pending, 1);
  bench.clock.advance(3_600_000);
  await served;
  assert.equal(context.live.size, 1);
  bench.clock.advance(3_601_000);
  await new Promise((resolve) => void setImmediate(resolve));
  assert.equal(context.live.size, 0);
});

test('a client that speaks no HTTP is told of where requests to nobody are', async (t) => {
  const told: string[] = [];
  const onFinish = ({ responseStatus, reason }: HttpRun): void => void told.push(`${responseStatus} ${reason}`);
  const { place } = engineBench({ filters: [{ name: 'witness', onFinish }] });
  const { context } = contextOf({
    serverPlaces: () => [{ ...place, filters: [], server: { name: 'web', protocol: 'http', hostname: '*' } }],
    unmatchedPlace: () => place,
  });
  const server = new EdgeServer(context, 'http');
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void server.serve(accepted),
  });
  t.after(() => listener.close());
  const client = connect(listener.address.port, '127.0.0.1');
  t.after(() => client.destroy());
  const answered = new Promise<string>((resolve) => void client.once('data', (data) => resolve(String(data))));
  client.write('GET / HTTP/1.1\r\n\r\n');
  assert.match(await answered, /^HTTP\/1\.1 400 /);
  assert.deepEqual(told, ['400 the request is not valid HTTP/1.1: There is no Host']);
});

test('a connection without TLS is not served by a port that has come to ask for TLS', async () => {
  const bench = engineBench();
  let protocol = 'http';
  const live = new LiveConnections();
  const { context, bench: own } = contextOf({
    serverPlaces: () => [{ ...bench.place, server: { name: 'web', protocol, hostname: '*' } }],
    unmatchedPlace: () => ({ ...bench.place, routes: compileRoutes(noRoutes), table: noRoutes }),
  });
  const server = new EdgeServer({ ...context, live }, 'web');
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void server.serve(accepted),
  });
  const client = connect(listener.address.port, '127.0.0.1');
  client.on('error', () => {});
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  try {
    let received = '';
    client.on('data', (bytes) => (received += String(bytes)));
    const ask = async (status: number, answer?: () => void): Promise<void> => {
      received = '';
      const before = bench.upstreams.attempts.length;
      client.write('GET / HTTP/1.1\r\nhost: web\r\n\r\n');
      if (answer) {
        await eventually(async () => bench.upstreams.attempts.length > before || undefined, 'a backend is asked');
        answer();
      }
      await eventually(async () => received.startsWith(`HTTP/1.1 ${status} `) || undefined, `the answer is ${status}`);
      assert.equal(bench.upstreams.attempts.length, answer ? before + 1 : before);
    };
    await ask(200, () => bench.upstreams.last.answer(200, 'ok'));
    protocol = 'https';
    await ask(404);
    assert.equal(client.closed, false);
    live.review();
    own.clock.advance(60_000);
    await closed;
  } finally {
    client.destroy();
    await listener.close();
  }
});

const noRoutes: RouteTable = { kind: 'routes', name: 'none', hosts: [], tls: [], tcp: [] };

test('each request of a connection goes by its own host', async (t) => {
  const bench = engineBench();
  const places = [{ ...bench.place, server: { name: 'web', protocol: 'http', hostname: 'web' } }];
  const { context } = contextOf({
    serverPlaces: () => places,
    unmatchedPlace: () => ({ ...bench.place, routes: compileRoutes(noRoutes), table: noRoutes }),
  });
  const server = new EdgeServer(context, 'web');
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void server.serve(accepted),
  });
  t.after(() => listener.close());
  const client = connect(listener.address.port, '127.0.0.1');
  t.after(() => client.destroy());
  let received = '';
  client.on('data', (bytes) => (received += String(bytes)));
  for (const [host, status] of [
    ['web', 200],
    ['web', 200],
    ['other', 404],
    ['WEB:80', 200],
  ] as const) {
    received = '';
    const before = bench.upstreams.attempts.length;
    client.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    if (status === 200) {
      await eventually(async () => bench.upstreams.attempts.length > before || undefined, `${host} has a backend`);
      bench.upstreams.last.answer(200, 'ok');
    }
    await eventually(async () => received.startsWith(`HTTP/1.1 ${status} `) || undefined, `${host}: ${status}`);
  }
});
