import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import { settled } from './fake-hosts.ts';
import { fakeUpstreams } from './fake-upstreams.ts';
import { applyMesh, endpoint, Heard, requestHead, upstreamRequest, web } from './upstream-fixtures.ts';

const http2 = requestHead('/', { version: 'http/2' });

describe('connections of HTTP/1.1', () => {
  test('serve one request after the other, the one that was used last first', async () => {
    const { hosts, send } = fakeUpstreams();
    const first = [send(), send()];
    await settled();
    assert.equal(hosts.connections.length, 2);
    for (const exchange of hosts.exchanges) exchange.answer();
    assert.deepEqual(
      first.map(({ head }) => head?.status),
      [200, 200],
    );
    for (let i = 0; i < 3; i++) {
      send();
      hosts.exchanges[0]?.answer();
    }
    assert.deepEqual(
      hosts.connections.map(({ served }) => served),
      [1, 4],
    );
  });

  test('are idle again before the reader hears of the end', async () => {
    const { hosts, upstreams, send } = fakeUpstreams();
    const first = send();
    await settled();
    let second: Heard | undefined;
    first.onClose = () => {
      second = new Heard();
      upstreams.open('web', upstreamRequest(), second);
    };
    hosts.exchanges[0]?.answer();
    assert.equal(hosts.connections.length, 1);
    assert.equal(hosts.exchanges.length, 1);
    assert.ok(second);
  });

  test('that end while idle are never used again', async () => {
    const { hosts, send } = fakeUpstreams();
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    hosts.connections[0]?.close();
    await settled();
    send();
    await settled();
    assert.equal(hosts.connections.length, 2);
    assert.equal(hosts.connections[1]?.served, 1);
  });

  test('that end under a request which nobody has seen lead to another one', async () => {
    const { hosts, send } = fakeUpstreams();
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    const again = send();
    hosts.connections[0]?.close();
    hosts.exchanges[0]?.break('connection-termination', 'no');
    await settled();
    assert.equal(again.isClosed, false);
    hosts.exchanges[0]?.answer(204);
    assert.equal(again.head?.status, 204);
  });

  test('that end under a request which may have been seen, or whose body is gone, fail it', async () => {
    const { hosts, send } = fakeUpstreams();
    const seen = send();
    const body = send({ ends: false });
    await settled();
    body.exchange.write(Buffer.from('x'));
    hosts.exchanges[0]?.break('connection-termination', 'maybe');
    hosts.exchanges[0]?.break('connection-termination', 'no');
    assert.deepEqual(
      [seen.failure?.kind, seen.failure?.flag, seen.failure?.sent],
      ['connection-termination', 'UC', 'maybe'],
    );
    assert.equal(body.failure?.sent, 'no');
  });

  test('that end under a safe request which may have been seen lead to a new one, where they had been idle', async () => {
    const { hosts, send } = fakeUpstreams();
    const idle = [send(), send()];
    await settled();
    for (const exchange of hosts.exchanges) exchange.answer();
    assert.ok(idle.every(({ isClosed }) => isClosed));
    const safe = send();
    hosts.connections[1]?.close();
    await settled();
    assert.equal(safe.isClosed, false);
    assert.deepEqual(
      hosts.connections.map(({ served }) => served),
      [1, 2, 1],
    );
    // A connection that is new has no such excuse.
    hosts.exchanges[0]?.break('connection-termination', 'maybe');
    assert.deepEqual([safe.failure?.kind, safe.failure?.sent], ['connection-termination', 'maybe']);
  });

  test('that end under any other request fail it', async () => {
    for (const more of [{ head: requestHead('/', { method: 'POST' }) }, { head: requestHead(), ends: false }]) {
      const { hosts, send } = fakeUpstreams();
      send();
      await settled();
      hosts.exchanges[0]?.answer();
      const heard = send(more);
      hosts.connections[0]?.close();
      await settled();
      assert.equal(heard.failure?.kind, 'connection-termination');
    }
    const { hosts, send } = fakeUpstreams();
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    const begun = send();
    hosts.exchanges[0]?.begin();
    hosts.connections[0]?.close();
    await settled();
    assert.equal(begun.failure?.kind, 'connection-termination');
  });

  test('are asked again a few times at most', async () => {
    const { hosts, send } = fakeUpstreams();
    const heard = send();
    for (let i = 0; i < 10 && !heard.isClosed; i++) {
      await settled();
      hosts.exchanges[0]?.break('refused', 'no');
    }
    assert.equal(heard.failure?.kind, 'refused');
    assert.equal(
      hosts.connections.reduce((sum, { served }) => sum + served, 0),
      3,
    );
  });

  test('serve as many requests as they may', async () => {
    const { hosts, send } = fakeUpstreams({ connectionPool: { maxRequestsPerConnection: 2 } });
    for (let i = 0; i < 5; i++) {
      send();
      await settled();
      hosts.exchanges[0]?.answer();
    }
    assert.deepEqual(
      hosts.connections.map(({ served, isDraining }) => [served, isDraining]),
      [
        [2, true],
        [2, true],
        [1, false],
      ],
    );
  });

  test('end when they have been idle for long enough, by one timer for all', async () => {
    const { hosts, send, clock } = fakeUpstreams({ connectionPool: { idleTimeoutMs: 60_000 } });
    send();
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    assert.equal(clock.pending, 1);
    clock.advance(30_000);
    hosts.exchanges[0]?.answer();
    clock.advance(30_000);
    assert.deepEqual(
      hosts.connections.map(({ isDraining }) => isDraining),
      [true, false],
    );
    clock.advance(30_000);
    assert.deepEqual(
      hosts.connections.map(({ isDraining }) => isDraining),
      [true, true],
    );
    assert.equal(clock.pending, 0);
  });

  test('end when they are old, once their request has ended', async () => {
    const { hosts, send, clock } = fakeUpstreams({ connectionPool: { maxConnectionDurationMs: 10_000 } });
    send();
    await settled();
    clock.advance(10_000);
    assert.deepEqual([hosts.connections[0]?.isDraining, hosts.connections[0]?.isClosed], [true, false]);
    hosts.exchanges[0]?.answer();
    assert.equal(hosts.connections[0]?.isClosed, true);
  });
});

describe('connections of HTTP/2', () => {
  test('carry many requests, and another one is opened at the limit of the peer', async () => {
    const { hosts, send } = fakeUpstreams({ protocol: 'http2' });
    hosts.maxStreams = 2;
    const heard = [send(), send(), send()];
    await settled();
    assert.deepEqual(
      hosts.connections.map(({ served }) => served),
      [2, 1],
    );
    for (const exchange of hosts.exchanges) exchange.answer();
    assert.ok(heard.every(({ head }) => head?.status === 200));
  });

  test('carry no more than the configuration says', async () => {
    const { hosts, send } = fakeUpstreams({ protocol: 'http2', connectionPool: { maxConcurrentStreams: 1 } });
    send();
    send();
    await settled();
    assert.deepEqual(
      hosts.connections.map(({ served }) => served),
      [1, 1],
    );
  });

  test('are for clients that speak it, where the backend says nothing', async () => {
    const { hosts, send } = fakeUpstreams();
    send();
    send({ head: http2 });
    send({ head: http2 });
    await settled();
    assert.deepEqual(hosts.connections.map(({ version, served }) => `${version} ${served}`).toSorted(), [
      'http/1.1 1',
      'http/2 2',
    ]);
  });

  test('are not for upgrades', async () => {
    const { hosts, send } = fakeUpstreams({ protocol: 'http2' });
    send({ head: requestHead('/', { version: 'http/2', upgrade: 'websocket' }) });
    await settled();
    assert.deepEqual(
      hosts.connections.map(({ version }) => version),
      ['http/1.1'],
    );
  });
});

describe('a request that waits for a connection', () => {
  test('keeps its body, up to what a codec would, and sends it then', async () => {
    const { hosts, send } = fakeUpstreams();
    hosts.isOpen = false;
    const heard = send({ ends: false });
    assert.equal(heard.exchange.write(Buffer.from('hello ')), 0);
    assert.equal(heard.exchange.write(Buffer.alloc(64 * 1024, 'x')), 1);
    await hosts.dials[0]?.connect();
    await settled();
    assert.equal(heard.drains, 1);
    heard.exchange.end(new HeaderList(['x-sum', '1']));
    const [exchange] = hosts.exchanges;
    assert.equal(exchange?.body.length, 6 + 64 * 1024);
    assert.equal(exchange?.hasEnded, true);
  });

  test('may be given up, and its connection serves another', async () => {
    const { hosts, send, upstreams } = fakeUpstreams();
    hosts.isOpen = false;
    const heard = send();
    heard.exchange.reset();
    assert.equal(heard.isClosed, false);
    await settled();
    assert.equal(heard.failure?.kind, 'local-reset');
    assert.equal(upstreams.describe()[0]?.pendingRequests, 0);
    await hosts.dials[0]?.connect();
    const next = send();
    assert.equal(hosts.dials.length, 1);
    hosts.exchanges[0]?.answer();
    assert.equal(next.head?.status, 200);
  });

  test('fails with the connection: one request a connection of HTTP/1.1, all of HTTP/2', async () => {
    for (const [head, failed] of [
      [requestHead(), 1],
      [http2, 2],
    ] as const) {
      const { hosts, send } = fakeUpstreams();
      hosts.isOpen = false;
      const heard = [send({ head }), send({ head })];
      await hosts.dials[0]?.fail(new Error('refused'));
      assert.equal(heard.filter(({ failure }) => failure?.kind === 'connect-failure').length, failed);
      assert.equal(heard[0]?.failure?.flag, 'UF');
      assert.equal(heard[0]?.failure?.sent, 'no');
      assert.equal(heard[0]?.failure?.host?.address, '10.0.0.1');
    }
  });

  test('waits no longer than the connect timeout', async () => {
    const { hosts, send, clock } = fakeUpstreams({ connectionPool: { connectTimeoutMs: 2000 } });
    hosts.isOpen = false;
    const heard = send();
    clock.advance(2000);
    await settled();
    assert.equal(heard.failure?.kind, 'connect-timeout');
    assert.equal(hosts.dials[0]?.signal.aborted, true);
    assert.equal(clock.pending, 0);
  });

  test('is told of its host at once, and of the connection then', async () => {
    const { hosts, send } = fakeUpstreams();
    hosts.isOpen = false;
    const heard = send();
    assert.deepEqual(
      heard.hosts.map(({ localAddress }) => localAddress),
      [undefined],
    );
    await hosts.dials[0]?.connect();
    assert.deepEqual(
      heard.hosts.map(({ localAddress }) => localAddress),
      [undefined, '127.0.0.1:1'],
    );
  });
});

describe('circuit breakers', () => {
  test('refuse requests over the limit, waiting or running', async () => {
    const { hosts, send } = fakeUpstreams({ connectionPool: { maxRequests: 1 } });
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    send();
    const over = send();
    await settled();
    assert.deepEqual([over.failure?.kind, over.failure?.flag, over.failure?.sent], ['overflow', 'UO', 'no']);
    assert.match(over.failure?.message ?? '', /too many requests at web/);
  });

  test('refuse requests over the limit also where connections are idle', async () => {
    const { hosts, send, reconfigure } = fakeUpstreams();
    send();
    send();
    await settled();
    for (const exchange of hosts.exchanges) exchange.answer();
    reconfigure({ connectionPool: { maxRequests: 1 } });
    send();
    const over = send();
    await settled();
    assert.equal(over.failure?.kind, 'overflow');
    assert.equal(hosts.exchanges.length, 1);
  });

  test('refuse to let more wait than may', async () => {
    const { hosts, send } = fakeUpstreams({ connectionPool: { maxConnections: 1, maxPendingRequests: 1 } });
    const first = send();
    await settled();
    const waiting = send();
    const over = send();
    await settled();
    assert.equal(over.failure?.kind, 'overflow');
    assert.match(over.failure?.message ?? '', /pending requests/);
    assert.equal(hosts.connections.length, 1);
    hosts.exchanges[0]?.answer();
    assert.equal(first.head?.status, 200);
    hosts.exchanges[0]?.answer();
    assert.equal(waiting.head?.status, 200);
  });

  test('let every host have one connection', async () => {
    const { hosts, send } = fakeUpstreams({ connectionPool: { maxConnections: 1 } }, [
      web,
      endpoint('a', '10.0.0.1'),
      endpoint('b', '10.0.0.2'),
    ]);
    send();
    send();
    send();
    await settled();
    assert.equal(hosts.connections.length, 2);
    assert.equal(hosts.exchanges.length, 2);
  });

  test('count all that runs, and forget it when it has ended', async () => {
    const { hosts, send, upstreams } = fakeUpstreams({ connectionPool: { maxConnections: 1 } });
    send();
    send();
    await settled();
    const now = (): number[] => {
      const { activeRequests = -1, pendingRequests = -1, connections = -1, hosts: of } = upstreams.describe()[0] ?? {};
      return [activeRequests, pendingRequests, connections, of?.[0]?.activeRequests ?? -1];
    };
    assert.deepEqual(now(), [1, 1, 1, 2]);
    hosts.exchanges[0]?.answer();
    hosts.exchanges[0]?.answer();
    assert.deepEqual(now(), [0, 0, 1, 0]);
    hosts.connections[0]?.close();
    await settled();
    assert.deepEqual(now(), [0, 0, 0, 0]);
  });
});

test('callers who ask for ever other names leave no more than so many connections', async () => {
  const tls = { mode: 'simple', subjectAltNames: [], ca: { kind: 'none' } } as const;
  const { hosts, send } = fakeUpstreams({ tls });
  for (let i = 0; i < 1100; i++) send({ head: requestHead('/', { authority: `name-${i}.example.com` }) });
  await settled();
  for (const exchange of hosts.exchanges) exchange.answer();
  for (let i = 0; i < 100; i++) send({ head: requestHead('/', { authority: `other-${i}.example.com` }) });
  await settled();
  for (const exchange of hosts.exchanges) exchange.answer();
  await settled();
  const open = hosts.connections.filter(({ isClosed }) => !isClosed);
  assert.equal(hosts.connections.length, 1200);
  assert.ok(open.length <= 1101, String(open.length));
});

describe('retries', () => {
  test('are limited by number', () => {
    const { upstreams } = fakeUpstreams({ connectionPool: { maxRetries: 1 } });
    const one = upstreams.startRetry('web');
    assert.ok(one);
    assert.equal(upstreams.startRetry('web'), undefined);
    one.end();
    one.end();
    const next = upstreams.startRetry('web');
    assert.ok(next);
    assert.equal(upstreams.startRetry('web'), undefined);
    assert.equal(upstreams.startRetry('none'), undefined);
  });

  test('are limited to a part of the requests under way, but for a few', async () => {
    const { upstreams, send } = fakeUpstreams({ retryBudget: { percent: 20, minConcurrency: 1, intervalMs: 0 } });
    assert.ok(upstreams.startRetry('web'));
    assert.equal(upstreams.startRetry('web'), undefined);
    for (let i = 0; i < 15; i++) send();
    await settled();
    assert.ok(upstreams.startRetry('web'));
    assert.ok(upstreams.startRetry('web'));
    assert.equal(upstreams.startRetry('web'), undefined);
  });

  test('are limited to a part of the requests of an interval', async () => {
    const { upstreams, send, hosts, clock } = fakeUpstreams({
      retryBudget: { percent: 50, minConcurrency: 0, intervalMs: 10_000 },
    });
    const retry = async (): Promise<boolean> => {
      const token = upstreams.startRetry('web');
      if (token) send({ isRetry: true, attempt: 1 });
      await settled();
      token?.end();
      return token !== undefined;
    };
    for (let i = 0; i < 4; i++) send();
    assert.deepEqual([await retry(), await retry(), await retry()], [true, true, false]);
    clock.advance(20_000);
    assert.equal(await retry(), false);
    send();
    assert.equal(await retry(), true);
    for (const exchange of hosts.exchanges) exchange.answer();
  });
});

describe('hosts that go', () => {
  const [a, b] = [endpoint('a', '10.0.0.1'), endpoint('b', '10.0.0.2')];

  test('get no more requests, and their connections end after the running ones', async () => {
    const { hosts, send, mesh } = fakeUpstreams({}, [web, a, b]);
    const heard = [send(), send(), send(), send()];
    await settled();
    hosts.exchanges.find(({ head }) => head)?.answer();
    mesh.applyAddresses({ updated: [], removed: [a.uid] });
    await settled();
    const ofA = hosts.dials.map(({ request }) => request.host.key.includes('/a|'));
    assert.deepEqual(ofA, [true, false, true, false]);
    assert.deepEqual(
      hosts.connections.map(({ isDraining, isClosed }) => [isDraining, isClosed]),
      [
        [true, true],
        [false, false],
        [true, false],
        [false, false],
      ],
    );
    for (const exchange of hosts.exchanges) exchange.answer();
    assert.ok(heard.every(({ head }) => head?.status === 200));
    send();
    assert.equal(hosts.exchanges.length, 1);
    assert.equal(hosts.connections[2]?.isClosed, true);
  });

  test('pass the requests that wait for them on to others', async () => {
    const { hosts, send, mesh } = fakeUpstreams({}, [web, a]);
    hosts.isOpen = false;
    const heard = send();
    applyMesh(mesh, b);
    mesh.applyAddresses({ updated: [], removed: [a.uid] });
    await settled();
    assert.equal(hosts.dials[0]?.signal.aborted, true);
    await hosts.dials[1]?.connect();
    hosts.exchanges[0]?.answer();
    assert.equal(heard.head?.status, 200);
    assert.deepEqual(
      heard.hosts.map(({ address }) => address),
      ['10.0.0.1', '10.0.0.2', '10.0.0.2'],
    );
  });

  test('come back at another address with connections of their own', async () => {
    const { hosts, send, mesh } = fakeUpstreams({}, [web, a]);
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    applyMesh(mesh, { ...a, addresses: ['10.0.0.9'] });
    const heard = send();
    await settled();
    assert.equal(heard.hosts[0]?.address, '10.0.0.9');
    assert.equal(hosts.connections[0]?.isClosed, true);
  });

  test('that only change their labels keep their connections', async () => {
    const { hosts, send, mesh } = fakeUpstreams({}, [web, a]);
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    applyMesh(mesh, { ...a, canonicalRevision: 'v2' });
    const heard = send();
    assert.equal(hosts.exchanges.length, 1);
    assert.equal(hosts.connections.length, 1);
    assert.equal(heard.isClosed, false);
  });
});

describe('configuration', () => {
  test('that concerns no connection leaves them alone', async () => {
    const { hosts, send, reconfigure } = fakeUpstreams();
    send();
    await settled();
    hosts.exchanges[0]?.answer();
    reconfigure({ loadBalancer: { kind: 'random' }, connectionPool: { maxRequests: 5 } });
    send();
    assert.equal(hosts.connections.length, 1);
    assert.equal(hosts.exchanges.length, 1);
  });

  test('of another transport ends connections once they are idle', async () => {
    const { hosts, send, reconfigure } = fakeUpstreams();
    const running = send();
    await settled();
    reconfigure({ protocol: 'http2' });
    send();
    await settled();
    assert.deepEqual(
      hosts.connections.map(({ version, isDraining }) => [version, isDraining]),
      [
        ['http/1.1', true],
        ['http/2', false],
      ],
    );
    hosts.exchanges[0]?.answer();
    assert.equal(running.head?.status, 200);
    assert.equal(hosts.connections[0]?.isClosed, true);
  });

  test('without the backend lets what runs end, and refuses what comes', async () => {
    const { hosts, send, configure } = fakeUpstreams();
    const running = send();
    await settled();
    configure();
    const refused = send();
    await settled();
    assert.deepEqual([refused.failure?.kind, refused.failure?.flag], ['no-backend', 'NC']);
    hosts.exchanges[0]?.answer();
    assert.equal(running.head?.status, 200);
    assert.equal(hosts.connections[0]?.isClosed, true);
  });

  test('without the backend serves what waits, and keeps no connection for it', async () => {
    const { hosts, send, configure } = fakeUpstreams();
    hosts.isOpen = false;
    const waiting = send();
    configure();
    await hosts.dials.at(-1)?.connect();
    hosts.exchanges[0]?.answer();
    assert.equal(waiting.head?.status, 200);
    assert.ok(hosts.connections.every(({ isClosed }) => isClosed));
  });

  test('without endpoints says so', async () => {
    const { send } = fakeUpstreams({}, [web]);
    const heard = send();
    await settled();
    assert.deepEqual([heard.failure?.kind, heard.failure?.flag], ['no-healthy-host', 'UH']);
    assert.match(heard.failure?.message ?? '', /shop\/web\.shop\.svc\.cluster\.local has no endpoints/);
    const { send: sendFar } = fakeUpstreams({}, [web, endpoint('a', 'fd00::1')]);
    const far = sendFar();
    await settled();
    assert.match(far.failure?.message ?? '', /none of the 1 endpoints of .* serves port 80 where we can reach it/);
  });
});

test('what happens is counted by backend', async () => {
  const clock = createFakeClock();
  const metrics = new MetricsRegistry({ clock, log: silentLog() });
  const { hosts, send, upstreams } = fakeUpstreams({ connectionPool: { maxRequests: 1 } }, undefined, { metrics });
  send();
  await settled();
  send();
  await settled();
  const counts = (): Record<string, number> =>
    Object.fromEntries(
      [...metrics.write('text').matchAll(/^envoy_cluster_(\w+)\{cluster_name="web"\} (\d+)$/gm)]
        .filter(([, , count]) => count !== '0')
        .map(([, name = '', count]) => [name, Number(count)]),
    );
  assert.deepEqual(counts(), {
    upstream_cx_total: 2,
    upstream_cx_active: 2,
    upstream_rq_total: 1,
    upstream_rq_active: 1,
    upstream_rq_pending_overflow_total: 1,
  });
  hosts.exchanges[0]?.answer();
  assert.equal(counts()['upstream_rq_active'], undefined);
  upstreams.close();
});

describe('the end of the proxy', () => {
  test('by draining lets requests end, then their connections', async () => {
    const { hosts, send, upstreams } = fakeUpstreams();
    const running = send();
    await settled();
    upstreams.drain();
    const late = send();
    await settled();
    for (const exchange of hosts.exchanges) exchange.answer();
    assert.deepEqual([running.head?.status, late.head?.status], [200, 200]);
    assert.ok(hosts.connections.every(({ isClosed }) => isClosed));
  });

  test('at once fails what runs and what waits', async () => {
    const { hosts, send, upstreams, clock } = fakeUpstreams();
    const running = send();
    await settled();
    hosts.isOpen = false;
    const waiting = send();
    upstreams.close();
    await settled();
    assert.equal(running.failure?.kind, 'connection-termination');
    assert.equal(waiting.failure?.kind, 'connect-failure');
    assert.equal(clock.pending, 0);
  });
});
