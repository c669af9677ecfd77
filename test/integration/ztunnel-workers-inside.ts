/** Data parts in two worker threads: traffic is spread, a worker that dies takes its own connections with it and comes back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { checkPrivileges } from '../../src/net/index.ts';
import { assertAtLeast, eventually, exchange, sample, startLoadedPair, type LoadedPair } from './ztunnel-load.ts';

let pair: LoadedPair;

before(async () => {
  await checkPrivileges();
  pair = await startLoadedPair();
});
after(() => pair.close());

/** Connections that have passed a byte and stay open. */
async function openConnections(count: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = pair.dial();
      socket.write('x');
      await once(socket, 'data');
      // Read on, to see its end.
      socket.resume();
      return socket;
    }),
  );
}

/** Opens until each worker of the client's side has some: the kernel promises no turns, and an idle one may take a hundred. */
async function openSpread(): Promise<Socket[]> {
  const live: Socket[] = [];
  for (let wave = 0; wave < 30; wave++) {
    live.push(...(await openConnections(50)));
    const counts = (await pair.client.data.report()).map(({ pods }) => pods[0]?.connectionCount ?? 0);
    if (counts.length === 2 && counts.every((count) => count > 0)) return live;
  }
  return assert.fail('one worker takes every connection');
}

let spread = 0;

test('connections are spread over the workers, and every byte comes back', async () => {
  const live = await openSpread();
  spread = live.length;
  for (const part of [pair.client, pair.server]) {
    const counts = (await part.data.report()).map(({ pods }) => pods[0]?.connectionCount ?? 0);
    assert.equal(counts.length, 2);
    assert.equal(counts[0]! + counts[1]!, live.length);
  }
  for (const socket of live) socket.destroy();
  await Promise.all(Array.from({ length: 64 }, (_, seed) => exchange(pair.dial(), 500_000, seed)));
});

test('metrics, connection reports and the access log of both workers are one', async () => {
  await eventually(async () => {
    const text = await pair.client.metrics();
    const closed = sample(text, /^istio_tcp_connections_closed_total\{reporter="source".*response_flags="-"/);
    const failed = sample(text, /^istio_tcp_connections_failed_total\{reporter="source"/);
    assert.equal(closed + failed, spread + 64, text);
    assert.equal(text.match(/# TYPE istio_tcp_connections_opened_total/g)?.length, 1);
    assert.equal(sample(text, /^workload_manager_active_proxy_count /), 1);
    assert.equal(pair.client.log.filter((line) => line.includes('direction="outbound"')).length, spread + 64);
  });
  const live = await openConnections(20);
  assert.equal((await pair.client.connections('client-uid', 'outbound')).length, 20);
  for (const socket of live) socket.destroy();
});

test('a worker that dies takes its own connections with it, and is started again with all it served', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  await eventually(async () => assert.deepEqual(await pair.client.connections('client-uid', 'outbound'), []));
  const before = descriptors();
  const live = await openSpread();
  const [first] = await pair.client.data.report();
  const doomed = first?.pods[0]?.connectionCount ?? 0;
  assertAtLeast(doomed, 1, 'connections of the worker that dies');
  let closed = 0;
  for (const socket of live) socket.once('end', () => socket.destroy()).once('close', () => closed++);
  const openedBefore = sample(await pair.client.metrics(), /^istio_tcp_connections_opened_total/);

  // No message of the control part looks like this: the worker fails over it.
  pair.client.parts[0]?.post({ kind: 'addresses', update: undefined as never });

  // New connections are served all the while, by the other one; what the first still accepts ends with it.
  for (let i = 0; i < 20; i++) await eventually(() => exchange(pair.dial(), 10_000, i));
  await eventually(() => assert.equal(closed, doomed));
  for (const [index, socket] of live.entries()) {
    if (socket.destroyed) continue;
    socket.write('y');
    assert.equal(String((await once(socket, 'data'))[0]), 'y', `connection ${index} lives on`);
  }
  await eventually(async () =>
    assert.equal((await pair.client.data.report()).filter((r) => r.pods.length === 1).length, 2),
  );
  const again = await openSpread();
  assertAtLeast(
    sample(await pair.client.metrics(), /^istio_tcp_connections_opened_total/),
    openedBefore,
    'opened, which never goes back',
  );
  for (const socket of [...live, ...again]) socket.destroy();
  await eventually(() => assert.ok(descriptors() <= before + 4, `${descriptors()} descriptors, ${before} before`));
});

test('levels of scopes hold in workers, until they are taken back', async () => {
  const other = await startLoadedPair(undefined, 'IPv6');
  const { levels, processLog } = other.client;
  const failed = (): string[] => processLog.filter((line) => line.includes('"scope":"ztunnel.data.pool"'));
  const fail = async (): Promise<void> => {
    const socket = other.dial();
    socket.write('x');
    await new Promise((resolve) => socket.once('close', resolve));
  };
  try {
    await other.server.drain(10);
    levels.set('data.pool:debug');
    await eventually(async () => {
      await fail();
      assert.match(failed()[0] ?? '', /"level":"debug".*"worker":\d.*"message":"Dial failed"/);
    });
    levels.reset();
    await other.client.applied();
    const before = failed().length;
    await fail();
    await other.client.applied();
    assert.equal(failed().length, before);
  } finally {
    await other.close();
  }
});

test('a drain waits for the connections of all workers', async () => {
  const live = await openConnections(50);
  let drained = false;
  const draining = pair.client.drain(20_000).then(() => (drained = true));
  for (const socket of live.slice(1)) socket.end();
  await Promise.all(live.slice(1).map((socket) => once(socket, 'close')));
  const last = live[0] as Socket;
  last.write('z');
  assert.equal(String((await once(last, 'data'))[0]), 'z');
  assert.equal(drained, false);
  last.end();
  await draining;
});
