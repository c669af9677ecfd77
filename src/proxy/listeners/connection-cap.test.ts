import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { SpiffeId } from '../../api/names.ts';
import { silentLog, type Log, type LogFields } from '../../lib/log.ts';
import { engineBench, forwardRule, type Bench } from '../engine/engine-fixtures.ts';
import { ConnectionCap, defaultMaxConnections } from './connection-cap.ts';
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
async function openScene(t: TestContext, max: number): Promise<Scene> {
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
    cap: new ConnectionCap({ max, services }),
    host: '127.0.0.1',
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

function open({ port }: Scene, listener: 'plain' | 'secure', t: TestContext): Client {
  const to = { host: '127.0.0.1', port: port(listener) };
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

test('a proxy may have as many connections as its descriptors allow, both ends of each', () => {
  assert.equal(defaultMaxConnections(1024), 384);
  assert.equal(defaultMaxConnections(1_048_576), 393_216);
  assert.equal(defaultMaxConnections(64), 64);
});
