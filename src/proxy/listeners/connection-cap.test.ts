import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { SpiffeId } from '../../api/names.ts';
import { silentLog, type Log, type LogFields } from '../../lib/log.ts';
import { openDescriptors } from '../../net/index.ts';
import { engineBench, forwardRule, type Bench } from '../engine/engine-fixtures.ts';
import { ConnectionCap, defaultMaxConnections, type DescriptorUse } from './connection-cap.ts';
import { LateNews } from './late-news.ts';
import { LeftWorkloads } from './left-workloads.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';
import { createListeners, type Listeners } from './listeners.ts';

const pem = readFileSync(new URL('../../net/channel.test.pem', import.meta.url), 'utf8');
const tls = { mode: 'terminate', certificates: ['own'], minVersion: 'TLSv1.2', cipherSuites: [] } as const;

interface Scene {
  readonly bench: Bench;
  readonly lines: LogFields[];
  readonly port: (listener: string) => number;
  readonly metric: (name: string) => number;
  /** Waits for what a client's end leads to. */
  readonly until: (isTrue: () => boolean) => Promise<void>;
}

/** A gateway with two ports, `plain` and `secure`, that answers everything by itself. */
async function openScene(t: TestContext, max: number, descriptors?: DescriptorUse): Promise<Scene> {
  const lines: LogFields[] = [];
  const log: Log = { ...silentLog(), warn: (message, fields) => void lines.push({ message, ...fields }) };
  const bench = engineBench({ log, rules: [forwardRule({ action: { kind: 'respond', status: 200 } })] });
  const { services } = bench.place;
  const { clock, mesh, metrics } = services;
  const serverOf = (name: string): object => ({
    name,
    hostname: '*',
    ...(name === 'secure' ? { protocol: 'https', tls } : { protocol: 'http' }),
  });
  const names = ['plain', 'secure'];
  const servers = new Map(names.map((name) => [name, [{ ...bench.place, server: serverOf(name) }]]));
  const snapshot = {
    listeners: new Map(names.map((name) => [name, { type: 'edge', name, port: 0 }])),
    secrets: new Map([['own', { certificateChain: pem, privateKey: pem }]]),
  };
  const ended = new AbortController();
  const context: ListenerContext = {
    services,
    identity: 'spiffe://cluster.local/ns/shop/sa/edge' as SpiffeId,
    own: () => undefined,
    certificate: () => Promise.reject(new Error('not here')),
    config: () => ({ serverPlaces: (name: string) => servers.get(name), snapshot }) as never,
    ended: ended.signal,
    live: new LiveConnections(),
    late: new LateNews({ mesh, clock, ended: ended.signal }),
    left: new LeftWorkloads({ mesh, clock, ended: ended.signal, own: () => undefined, onLeave() {} }),
  };
  const listeners: Listeners = createListeners({
    context,
    cap: new ConnectionCap({ max, services, ...(descriptors ? { descriptors } : {}) }),
    host: '::',
  });
  await listeners.apply(snapshot as never);
  t.after(async () => {
    ended.abort();
    await listeners.close();
  });
  return {
    bench,
    lines,
    port: (listener) => listeners.addresses().find(({ name }) => name === listener)?.port ?? 0,
    metric: (name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics.write('text'))?.[1]),
    async until(isTrue) {
      while (!isTrue()) await new Promise((resolve) => void setImmediate(resolve));
    },
  };
}

interface Client {
  readonly socket: Socket;
  /** The status of another request on the connection. */
  readonly ask: (more?: string) => Promise<string>;
  readonly closed: Promise<void>;
}

/** `from`: address of the client. */
function open({ port }: Scene, listener: 'plain' | 'secure', t: TestContext, from = '127.0.0.1'): Client {
  const host = from.includes(':') ? '::1' : '127.0.0.1';
  const to = { host, port: port(listener), localAddress: from };
  const socket = listener === 'secure' ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  t.after(() => socket.destroy());
  return {
    socket,
    closed,
    ask(more = '') {
      const answered = new Promise<string>((resolve) => void socket.once('data', (data) => resolve(String(data))));
      socket.write(`GET / HTTP/1.1\r\nHost: web\r\n${more}\r\n`);
      return Promise.race([answered.then((text) => text.slice(9, 12)), closed.then(() => 'closed')]);
    },
  };
}

describe('connections of clients', () => {
  test('over the cap are closed at once, told of and counted; those that live go on', async (t) => {
    const scene = await openScene(t, 3);
    const clients = [open(scene, 'plain', t), open(scene, 'secure', t), open(scene, 'plain', t)];
    assert.deepEqual(await Promise.all(clients.map(({ ask }) => ask())), ['200', '200', '200']);
    for (const listener of ['plain', 'secure', 'plain'] as const) {
      const late = open(scene, listener, t);
      assert.equal(await late.ask(), 'closed');
    }
    assert.deepEqual(await Promise.all(clients.map(({ ask }) => ask())), ['200', '200', '200']);
    assert.equal(scene.metric('ambit_proxy_connections'), 3);
    assert.equal(scene.metric('ambit_proxy_connections_limit'), 3);
    assert.equal(scene.metric('ambit_proxy_connections_refused_total'), 3);
    assert.equal(scene.lines.length, 1);
    assert.deepEqual(scene.lines[0], {
      message: 'refused a connection: there are as many as may be',
      listener: 'plain',
      client: '127.0.0.1',
      limit: 3,
    });
    scene.bench.clock.advance(10_000);
    assert.equal(await open(scene, 'plain', t).ask(), 'closed');
    assert.equal(scene.lines[1]?.['alsoSinceLastLine'], 2);
  });

  test('make room when they end, whoever ends them and however', async (t) => {
    const scene = await openScene(t, 5);
    const [ends, resets, isEnded, secureEnds, secureResets] = [
      open(scene, 'plain', t),
      open(scene, 'plain', t),
      open(scene, 'plain', t),
      open(scene, 'secure', t),
      open(scene, 'secure', t),
    ] as [Client, Client, Client, Client, Client];
    const all = [ends, resets, isEnded, secureEnds, secureResets];
    assert.deepEqual(await Promise.all(all.map(({ ask }) => ask())), ['200', '200', '200', '200', '200']);
    assert.equal(await open(scene, 'plain', t).ask(), 'closed');
    ends.socket.end();
    resets.socket.resetAndDestroy();
    assert.equal(await isEnded.ask('Connection: close\r\n'), '200');
    isEnded.socket.end();
    secureEnds.socket.end();
    secureResets.socket.destroy();
    await Promise.all(all.map(({ closed }) => closed));
    await scene.until(() => scene.metric('ambit_proxy_connections') === 0);
    assert.equal(await open(scene, 'secure', t).ask(), '200');
    assert.equal(await open(scene, 'plain', t).ask(), '200');
    assert.equal(scene.metric('ambit_proxy_connections'), 2);
  });

  test('that never say anything count, too', async (t) => {
    const scene = await openScene(t, 2);
    const silent = [open(scene, 'plain', t), open(scene, 'secure', t)];
    await scene.until(() => scene.metric('ambit_proxy_connections') === 2);
    assert.equal(await open(scene, 'plain', t).ask(), 'closed');
    for (const { socket } of silent) socket.destroy();
    await scene.until(() => scene.metric('ambit_proxy_connections') === 0);
  });
});

describe('one client of the edge', () => {
  test('may have no more than its share once most of what may be is in use, and others come in', async (t) => {
    const scene = await openScene(t, 100);
    const greedy = Array.from({ length: 80 }, () => open(scene, 'plain', t));
    assert.deepEqual(new Set(await Promise.all(greedy.map(({ ask }) => ask()))), new Set(['200']));
    for (const listener of ['plain', 'secure'] as const) assert.equal(await open(scene, listener, t).ask(), 'closed');
    const modest = Array.from({ length: 8 }, () => open(scene, 'secure', t, '127.0.0.2'));
    assert.deepEqual(new Set(await Promise.all(modest.map(({ ask }) => ask()))), new Set(['200']));
    assert.equal(await open(scene, 'plain', t, '127.0.0.2').ask(), 'closed', 'its share is eight');
    assert.equal(await open(scene, 'plain', t, '127.0.0.3').ask(), '200');
    assert.equal(await greedy[0]?.ask(), '200', 'what lives goes on');
    assert.equal(scene.metric('ambit_proxy_connections_refused_total'), 3);
    assert.equal(scene.metric('ambit_proxy_connections_refused_share_total'), 3);
    assert.deepEqual(scene.lines, [
      {
        message: 'refused a connection: there is little room, and its client has its share',
        listener: 'plain',
        client: '127.0.0.1',
        limit: 8,
      },
    ]);
    for (const { socket } of greedy.slice(0, 10)) socket.destroy();
    await scene.until(() => scene.metric('ambit_proxy_connections') === 79);
    assert.equal(await open(scene, 'plain', t).ask(), '200', 'there is room again');
  });

  test('gets its share back when its connections end', async (t) => {
    const scene = await openScene(t, 100);
    const others = Array.from({ length: 80 }, (_, i) => open(scene, 'plain', t, `127.0.1.${i + 1}`));
    const own = Array.from({ length: 8 }, () => open(scene, 'plain', t));
    assert.deepEqual(new Set(await Promise.all([...others, ...own].map(({ ask }) => ask()))), new Set(['200']));
    assert.equal(await open(scene, 'plain', t).ask(), 'closed');
    own[0]?.socket.destroy();
    await scene.until(() => scene.metric('ambit_proxy_connections') === 87);
    assert.equal(await open(scene, 'plain', t).ask(), '200');
  });

  test('is an IPv4 address, or a network of 64 bits of IPv6', () => {
    const taken = capOf({ max: 200, isEdge: true });
    for (let i = 0; i < 160; i++) assert.ok(taken(`10.0.0.${i + 1}`));
    for (let i = 0; i < 10; i++) assert.ok(taken(`2001:db8:0:1::${i}`));
    assert.ok(!taken('2001:db8:0:1:ffff::2'), 'the same network');
    assert.ok(taken('2001:db8:0:2::1'), 'another network');
    for (let i = 0; i < 9; i++) assert.ok(taken('10.0.0.1'));
    assert.ok(!taken('10.0.0.1') && taken('10.0.1.1'), 'an address');
  });

  test('is not told from another at a waypoint, where one connection is of many', () => {
    const taken = capOf({ max: 20, isEdge: false });
    for (let i = 0; i < 20; i++) assert.ok(taken('10.0.0.1'));
    assert.ok(!taken('10.0.0.2'));
  });
});

describe('descriptors', () => {
  test('count, whoever has them: backends take them as clients do', async (t) => {
    let ofBackends = 0;
    let clients = (): number => 0;
    const scene = await openScene(t, 750, { limit: 1000, open: () => clients() + ofBackends });
    clients = () => scene.metric('ambit_proxy_connections');
    const many = Array.from({ length: 400 }, (_, i) => open(scene, 'plain', t, `127.0.${i >> 5}.${(i & 31) + 1}`));
    assert.deepEqual(new Set(await Promise.all(many.map(({ ask }) => ask()))), new Set(['200']));
    ofBackends = 350;
    assert.equal(await open(scene, 'plain', t, '127.0.99.1').ask(), 'closed', '750 of 1000 are in use');
    assert.match(String(scene.lines[0]?.['message']), /as many as may be$/, 'there was no room for anybody');
    ofBackends = 300;
    assert.equal(await open(scene, 'plain', t, '127.0.99.1').ask(), '200');
  });

  test('are as many as the kernel says', () => {
    const before = openDescriptors();
    if (before === undefined) return;
    const files = Array.from({ length: 200 }, () => openSync('/dev/null', 'r'));
    const between = openDescriptors() ?? 0;
    for (const file of files) closeSync(file);
    // Other tests of the process have their own meanwhile.
    assert.ok(Math.abs(between - before - 200) < 50, `${before}, then ${between}`);
    assert.ok(Math.abs((openDescriptors() ?? 0) - before) < 50);
  });

  test('allow three quarters of them to clients, or half of that where nobody can count', () => {
    const max = (limit: number, open?: number): number => defaultMaxConnections({ limit, open: () => open });
    assert.deepEqual([max(1024, 20), max(1_048_576, 20), max(64, 20)], [768, 786_432, 64]);
    assert.deepEqual([max(1024), max(1_048_576), max(64)], [384, 393_216, 64]);
  });
});

/** Takes connections from addresses that nobody here has; says whether they were let in. */
function capOf({ max, isEdge }: { readonly max: number; readonly isEdge: boolean }): (address: string) => boolean {
  const { services } = engineBench({ rules: [] }).place;
  const cap = new ConnectionCap({ max, services });
  // Of a socket that was never connected only its end is asked for.
  const socket = Object.assign(new EventEmitter(), { resetAndDestroy() {} }) as unknown as Socket;
  socket.setMaxListeners(0);
  return (remoteAddress) => cap.admit({ socket, remoteAddress, remotePort: 1 }, { name: 'edge', isEdge });
}
