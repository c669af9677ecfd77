import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import type { SpiffeId } from '../../api/names.ts';
import { memoryChannelPair } from '../../net/index.ts';
import { engineBench, testConnection } from '../engine/engine-fixtures.ts';
import { serveApplication } from './application-connection.ts';
import { EdgeServer } from './edge-server.ts';
import { LateNews } from './late-news.ts';
import { LeftWorkloads } from './left-workloads.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';

function contextOf(): { readonly context: ListenerContext; readonly bench: ReturnType<typeof engineBench> } {
  const bench = engineBench();
  const places = [{ ...bench.place, server: { protocol: 'https', hostname: '*' } }];
  const { clock, mesh } = bench.place.services;
  const ended = new AbortController().signal;
  const context: ListenerContext = {
    services: bench.place.services,
    identity: 'spiffe://cluster.local/ns/shop/sa/edge' as SpiffeId,
    own: () => undefined,
    certificate: () => Promise.reject(new Error('not here')),
    config: () => ({ serverPlaces: () => places, snapshot: { listeners: new Map() } }) as never,
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
