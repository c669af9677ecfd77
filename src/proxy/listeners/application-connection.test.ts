import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpiffeId } from '../../api/names.ts';
import { memoryChannelPair, type ByteChannel } from '../../net/index.ts';
import { engineBench, testConnection, type Bench } from '../engine/engine-fixtures.ts';
import type { HttpPlace } from '../engine/place.ts';
import type { TcpFilter, TcpRefusal } from '../engine/tcp-run.ts';
import { read, turns } from '../channel-fixtures.ts';
import { serveApplication } from './application-connection.ts';
import { LateNews } from './late-news.ts';
import { LeftWorkloads } from './left-workloads.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';

/** Where bytes go to `upstream`, past `filter`. */
function tcpPlace(bench: Bench, upstream: ByteChannel, filter: TcpFilter): HttpPlace {
  const host = { address: '10.0.0.1', port: 80, tunnelled: false };
  const upstreams = Object.assign(bench.upstreams, {
    connect: () => Promise.resolve({ channel: upstream, host }) as Promise<never>,
  });
  const destinations = [{ weight: 1, target: { kind: 'backend', backend: 'web' } as const }];
  const origin = { kind: 'TCPRoute', namespace: 'shop', name: 'web', generation: 1 };
  return {
    ...bench.place,
    protocol: 'tcp',
    tcpFilters: [filter],
    table: { ...bench.place.table, tcp: [{ name: 'tcp', origin, destinationSubnets: [], destinations }] },
    services: { ...bench.place.services, upstreams },
  };
}

function contextOf({ services }: HttpPlace, live: LiveConnections): ListenerContext {
  const { clock, mesh } = services;
  const ended = new AbortController().signal;
  return {
    services,
    identity: 'spiffe://cluster.local/ns/shop/sa/waypoint' as SpiffeId,
    own: () => undefined,
    certificate: () => Promise.reject(new Error('not here')),
    config: () => undefined,
    ended,
    live,
    late: new LateNews({ mesh, clock, ended }),
    left: new LeftWorkloads({ mesh, clock, ended, own: () => undefined, onLeave() {} }),
  };
}

test('a connection of bytes goes on over changes of the configuration, until a policy denies it', async () => {
  const bench = engineBench();
  const [client, channel] = memoryChannelPair();
  const [upstream, application] = memoryChannelPair();
  const live = new LiveConnections();
  const reviewed: string[] = [];
  let denied = false;
  const guard: TcpFilter = {
    name: 'guard',
    review({ sourceAddress }) {
      reviewed.push(sourceAddress);
      return denied ? { flag: '', details: 'rbac', reason: 'denied by shop/no' } : undefined;
    },
  };
  const place = tcpPlace(bench, upstream, guard);
  const served = serveApplication({
    context: contextOf(place, live),
    channel,
    connection: testConnection,
    protocol: 'tcp',
    place,
    placeOf: () => place,
    tcpPlace: () => place,
    trust: 'mesh',
  });
  await turns();
  const atApplication = read(application);
  const atClient = read(client);
  client.write(Buffer.from('hello'));
  await turns();
  live.review();
  client.write(Buffer.from(' again'));
  await turns();
  assert.equal(atApplication.text, 'hello again');
  assert.deepEqual(reviewed, ['10.1.1.1']);
  denied = true;
  live.review();
  await served;
  await Promise.all([atApplication.closed, atClient.closed]);
  assert.equal(live.size, 0);
});

test('a filter of bytes that throws at the end ends its connection alone', async () => {
  const bench = engineBench();
  const [client, channel] = memoryChannelPair();
  const broken: TcpFilter = {
    name: 'broken',
    onFinish() {
      throw new Error('oops');
    },
  };
  const place: HttpPlace = { ...bench.place, protocol: 'tcp', tcpFilters: [broken] };
  const live = new LiveConnections();
  const atClient = read(client);
  await serveApplication({
    context: contextOf(place, live),
    channel,
    connection: testConnection,
    protocol: 'tcp',
    place,
    placeOf: () => place,
    tcpPlace: () => place,
    trust: 'mesh',
  });
  await atClient.closed;
  assert.equal(live.size, 0);
  assert.match(place.services.metrics.write('text'), /ambit_proxy_exceptions_total\{part="broken"\} 1/);
});

test('a filter of bytes that throws when it reviews a connection ends it, and others are reviewed', async () => {
  const bench = engineBench();
  const [client, channel] = memoryChannelPair();
  const [upstream] = memoryChannelPair();
  const broken: TcpFilter = {
    name: 'broken',
    review() {
      throw new Error('oops');
    },
  };
  const live = new LiveConnections();
  const reviewed: string[] = [];
  const place = tcpPlace(bench, upstream, broken);
  const served = serveApplication({
    context: contextOf(place, live),
    channel,
    connection: testConnection,
    protocol: 'tcp',
    place,
    placeOf: () => place,
    tcpPlace: () => place,
    trust: 'mesh',
  });
  await turns();
  const atClient = read(client);
  live.add({ drain() {}, review: () => void reviewed.push('other') });
  live.review();
  await served;
  await atClient.closed;
  assert.deepEqual(reviewed, ['other']);
  assert.match(place.services.metrics.write('text'), /ambit_proxy_exceptions_total\{part="broken"\} 1/);
});

test('a filter that has to ask first ends a connection when it has its answer, if that is still asked for', async () => {
  const bench = engineBench();
  const [client, channel] = memoryChannelPair();
  const [upstream, application] = memoryChannelPair();
  const answers: PromiseWithResolvers<TcpRefusal | undefined>[] = [];
  let signal: AbortSignal | undefined;
  const asking: TcpFilter = {
    name: 'asking',
    review(_, ofConnection) {
      signal = ofConnection;
      const answer = Promise.withResolvers<TcpRefusal | undefined>();
      answers.push(answer);
      return answer.promise;
    },
  };
  const live = new LiveConnections();
  const place = tcpPlace(bench, upstream, asking);
  const served = serveApplication({
    context: contextOf(place, live),
    channel,
    connection: testConnection,
    protocol: 'tcp',
    place,
    placeOf: () => place,
    tcpPlace: () => place,
    trust: 'mesh',
  });
  await turns();
  const atApplication = read(application);
  const atClient = read(client);
  const denied: TcpRefusal = { flag: 'UAEX', details: 'ext_authz_denied', reason: 'authorizer "x" denied it' };
  live.review();
  live.review();
  answers[0]?.resolve(denied);
  await turns();
  client.write(Buffer.from('hello'));
  await turns();
  assert.equal(atApplication.text, 'hello', 'the first answer is of a configuration that was replaced');
  assert.equal(signal?.aborted, false);
  answers[1]?.resolve(denied);
  await served;
  await Promise.all([atApplication.closed, atClient.closed]);
  assert.equal(signal.aborted, true);
});

test('a client that was silent while a policy came is held to it', async () => {
  const bench = engineBench();
  const [client, channel] = memoryChannelPair();
  const [upstream] = memoryChannelPair();
  const open = { ...tcpPlace(bench, upstream, { name: 'open' }), protocol: 'auto' as const };
  const seen: string[] = [];
  const closing: TcpFilter = {
    name: 'closing',
    onConnection: () => ({ flag: '', details: 'rbac', reason: 'denied by shop/no' }),
    onFinish: ({ reason }) => void seen.push(reason),
  };
  let now: HttpPlace = open;
  const served = serveApplication({
    context: contextOf(open, new LiveConnections()),
    channel,
    connection: testConnection,
    protocol: 'auto',
    place: open,
    placeOf: () => now,
    tcpPlace: () => now,
    trust: 'mesh',
  });
  await turns();
  now = { ...open, tcpFilters: [closing] };
  const atClient = read(client);
  client.write(Buffer.from([0, 1, 2, 3]));
  await served;
  await atClient.closed;
  assert.deepEqual(seen, ['denied by shop/no']);
});
