import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import type { ByteChannel } from '../net/channel.ts';
import { memoryChannelPair } from '../net/memory-channel.ts';
import { RawPeer, rawFrame, turns, uint32 } from '../http/h2/raw-peer.ts';
import {
  type ConnectRequest,
  createHbonePool,
  type HbonePool,
  type HboneServerSession,
  IdleBound,
  poolKeyId,
  type PoolKey,
  serveHbone,
} from './index.ts';

const key: PoolKey = { id: 'a' };
const request = { authority: '10.0.0.1:80' };

interface Mesh {
  readonly pool: HbonePool<PoolKey>;
  readonly clock: FakeClock;
  readonly servers: HboneServerSession[];
  /** Dials that wait to be answered. */
  readonly dials: {
    readonly key: PoolKey;
    readonly signal: AbortSignal;
    answer(maxStreams?: number): void;
    fail(error: Error): void;
  }[];
  /** The far ends of tunnels. */
  readonly accepted: ByteChannel[];
}

/** Far ends need a reader, or nothing that ends is noticed. */
function ignore(channel: ByteChannel): ByteChannel {
  channel.read({ neverKeeps: true, onData: () => false, onEnd: () => channel.end(), onDrain() {}, onClose() {} });
  return channel;
}

function openMesh(onConnect?: (request: ConnectRequest) => void, idle?: IdleBound): Mesh {
  const clock = createFakeClock();
  const servers: HboneServerSession[] = [];
  const dials: Mesh['dials'] = [];
  const accepted: ByteChannel[] = [];
  const pool = createHbonePool<PoolKey>({
    clock,
    ...(idle ? { idle } : {}),
    dial: (dialed, signal) =>
      new Promise((resolve, reject) => {
        dials.push({
          key: dialed,
          signal,
          answer(maxConcurrentStreams = 200) {
            const [near, far] = memoryChannelPair();
            servers.push(
              serveHbone(far, {
                clock,
                settings: { maxConcurrentStreams },
                onConnect: onConnect ?? ((connect) => accepted.push(ignore(connect.accept()))),
              }),
            );
            resolve(near);
          },
          fail: reject,
        });
      }),
  });
  return { pool, clock, servers, dials, accepted };
}

describe('HBONE pool', () => {
  it('dials once for requests that come together, and shares the connection', async () => {
    const { pool, dials } = openMesh();
    const tunnels = Array.from({ length: 20 }, () => pool.connect(key, request));
    assert.equal(dials.length, 1);
    assert.deepEqual(pool.stats, { connections: 0, tunnels: 0, dialing: 1, waiting: 20 });
    dials[0]?.answer();
    await Promise.all(tunnels);
    assert.deepEqual(pool.stats, { connections: 1, tunnels: 20, dialing: 0, waiting: 0 });
    pool.close();
  });

  it('keeps keys apart', async () => {
    const { pool, dials } = openMesh();
    const both = [pool.connect(key, request), pool.connect({ id: 'b' }, request)];
    for (const dial of dials) dial.answer();
    await Promise.all(both);
    assert.equal(pool.stats.connections, 2);
    pool.close();
  });

  it('opens another connection after 100 tunnels, or at the limit of the peer', async () => {
    for (const [limit, perConnection] of [
      [200, 100],
      [30, 30],
    ] as const) {
      const { pool, dials } = openMesh();
      const tunnels = Array.from({ length: perConnection + 5 }, () => pool.connect(key, request));
      dials[0]?.answer(limit);
      await turns();
      assert.equal(dials.length, 2);
      dials[1]?.answer(limit);
      await Promise.all(tunnels);
      assert.deepEqual(
        pool.list().map(({ tunnels: count, state }) => [count, state]),
        [
          [perConnection, 'full'],
          [5, 'usable'],
        ],
      );
      pool.close();
    }
  });

  it('fails those who wait when the dial fails, and tries again for the next', async () => {
    const { pool, dials } = openMesh();
    const waiting = [pool.connect(key, request), pool.connect(key, request)];
    dials[0]?.fail(new Error('refused'));
    for (const each of await Promise.allSettled(waiting)) {
      assert.equal(each.status, 'rejected');
      assert.equal((each.reason as { code: string }).code, 'hbone.dial-failed');
    }
    const next = pool.connect(key, request);
    dials[1]?.answer();
    await next;
    pool.close();
  });

  it('gives up a dial after 10 s, whether it hangs before or after the channel is there', async () => {
    for (const channelThere of [false, true]) {
      const { pool, clock } = openMesh();
      const silent = memoryChannelPair();
      const other = createHbonePool<PoolKey>({
        clock,
        dial: () => (channelThere ? Promise.resolve(silent[0]) : new Promise(() => {})),
      });
      const tunnel = other.connect(key, request);
      const rejected = assert.rejects(tunnel, { code: 'hbone.dial-timeout' });
      await turns();
      clock.advance(10_000);
      await rejected;
      assert.equal(other.stats.dialing, 0);
      other.close();
      pool.close();
    }
  });

  it('sends nothing before the SETTINGS of the peer arrived', async () => {
    const [near, far] = memoryChannelPair();
    const peer = new RawPeer(far, { skipPreface: true });
    const pool = createHbonePool<PoolKey>({ dial: () => Promise.resolve(near) });
    const tunnel = pool.connect(key, request);
    await turns();
    assert.equal(peer.of('headers').length, 0);
    peer.greet(false);
    await turns();
    assert.equal(peer.of('headers').length, 1);
    peer.headers(1, { ':status': '200' });
    await tunnel;
    pool.close();
  });

  it('uses no connection that is going away, while its tunnels go on', async () => {
    const { pool, dials, servers, accepted } = openMesh();
    const first = pool.connect(key, request);
    dials[0]?.answer();
    const tunnel = await first;
    const got: string[] = [];
    tunnel.read({
      onData: (bytes) => (got.push(Buffer.from(bytes).toString()), false),
      onEnd: () => got.push('end'),
      onDrain() {},
      onClose: (error) => got.push(error ? 'error' : 'closed'),
    });
    servers[0]?.drain();
    await turns();
    const second = pool.connect(key, request);
    assert.equal(dials.length, 2);
    dials[1]?.answer();
    await second;
    accepted[0]?.write(Buffer.from('still here'));
    tunnel.end();
    await turns(20);
    assert.deepEqual(got, ['still here', 'end', 'closed']);
    assert.equal(pool.stats.connections, 1);
    pool.close();
  });

  it('tries again elsewhere what the peer refused to process', async () => {
    const [near, far] = memoryChannelPair();
    const peer = new RawPeer(far, { skipPreface: true }).greet(false);
    const [nextNear, nextFar] = memoryChannelPair();
    serveHbone(nextFar, { onConnect: (connect) => void connect.accept() });
    const channels = [near, nextNear];
    const pool = createHbonePool<PoolKey>({ dial: () => Promise.resolve(channels.shift() as ByteChannel) });
    const tunnel = pool.connect(key, request);
    await turns();
    peer.send(rawFrame(7, 0, 0, uint32(0, 0)));
    await tunnel;
    assert.equal(channels.length, 0);
    pool.close();
  });

  it('tries again on another connection what was lost before it was answered, twice', async () => {
    const requests: ConnectRequest[] = [];
    const { pool, dials, servers } = openMesh((connect) => requests.push(connect));
    const connecting = pool.connect(key, request);
    for (let i = 0; i < 2; i++) {
      dials[i]?.answer();
      await turns();
      servers[i]?.close(new Error('killed'));
      await turns(20);
    }
    dials[2]?.answer();
    await turns();
    assert.equal(requests.length, 3);
    requests[2]?.accept();
    (await connecting).reset();

    const lost = assert.rejects(pool.connect({ id: 'b' }, request), { code: 'hbone.closed' });
    for (let i = 3; i < 6; i++) {
      dials[i]?.answer();
      await turns();
      servers[i]?.close(new Error('killed'));
      await turns(20);
    }
    await lost;
    pool.close();
  });

  it('closes a connection that had no tunnel for five minutes', async () => {
    const { pool, dials, clock } = openMesh();
    const connecting = pool.connect(key, request);
    dials[0]?.answer();
    const tunnel = ignore(await connecting);
    clock.advance(600_000 - 599_000);
    await turns();
    tunnel.end();
    await turns();
    assert.equal(pool.stats.tunnels, 0);
    const halves = [149_999, 149_999];
    for (const ms of halves) {
      for (let left = ms; left > 0; left -= 9_000) {
        clock.advance(Math.min(left, 9_000));
        await turns(4);
      }
    }
    assert.equal(pool.stats.connections, 1);
    clock.advance(2_000);
    await turns(20);
    assert.deepEqual(pool.stats, { connections: 0, tunnels: 0, dialing: 0, waiting: 0 });
  });

  it('has no more connections without tunnels than pools together may have', async () => {
    const bound = new IdleBound(4);
    const [large, small] = [openMesh(undefined, bound), openMesh(undefined, bound)];
    const use = async ({ pool, dials, clock }: Mesh, id: string): Promise<void> => {
      const connecting = pool.connect({ id }, request);
      dials.at(-1)?.answer();
      const tunnel = ignore(await connecting);
      clock.advance(1000);
      tunnel.end();
      await turns(20);
    };
    await use(small, 'only');
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await use(large, id);
    const keys = ({ pool }: Mesh): string[] => pool.list().map((one) => one.key.id);
    assert.deepEqual([keys(small), keys(large)], [['only'], ['d', 'e', 'f']]);
  });

  it('lets a caller give up while it waits for the dial, and while it waits for the answer', async () => {
    const requests: ConnectRequest[] = [];
    const { pool, dials } = openMesh((connect) => requests.push(connect));
    const early = new AbortController();
    const gone = assert.rejects(pool.connect(key, request, early.signal), { code: 'hbone.aborted' });
    const late = new AbortController();
    const goneToo = assert.rejects(pool.connect(key, request, late.signal), { code: 'hbone.aborted' });
    early.abort();
    await gone;
    dials[0]?.answer();
    await turns();
    assert.equal(requests.length, 1);
    late.abort();
    await goneToo;
    await turns();
    assert.ok(requests[0]?.aborted);
    assert.ok(requests[0]?.signal.aborted);
    await assert.rejects(pool.connect(key, request, late.signal), { code: 'hbone.aborted' });
    pool.close();
  });

  it('cuts the connections of a key', async () => {
    const { pool, dials } = openMesh();
    const both = [pool.connect(key, request), pool.connect({ id: 'b' }, request)];
    for (const dial of dials) dial.answer();
    const [cut, kept] = await Promise.all(both);
    const events: string[] = [];
    for (const [name, tunnel] of [
      ['cut', cut],
      ['kept', kept],
    ] as const) {
      tunnel?.read({
        onData: () => false,
        onEnd() {},
        onDrain() {},
        onClose: (error) => events.push(`${name} ${error !== undefined}`),
      });
    }
    pool.close((k) => k.id === 'a');
    await turns(20);
    assert.deepEqual(events, ['cut true']);
    assert.equal(pool.stats.connections, 1);
    pool.close();
  });

  it('takes nothing new once it drains', async () => {
    const { pool, dials } = openMesh();
    const connecting = pool.connect(key, request);
    dials[0]?.answer();
    const tunnel = ignore(await connecting);
    pool.drain();
    await assert.rejects(pool.connect(key, request), { code: 'hbone.closed' });
    tunnel.end();
    await turns(20);
    assert.equal(pool.stats.connections, 0);
  });

  it('makes ids that differ when any part does', () => {
    const parts = {
      sourcePod: 'uid',
      sourceIp: '10.0.0.1',
      sourceIdentity: 'spiffe://a',
      network: '',
      destination: '10.0.0.2:15008',
      expectedIdentities: ['spiffe://b', 'spiffe://c'],
      trustGeneration: 1,
      worker: 0,
    };
    const ids = new Set([
      poolKeyId(parts),
      ...Object.entries(parts).map(([name, value]) =>
        poolKeyId({
          ...parts,
          [name]: typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}x` : ['x'],
        }),
      ),
    ]);
    assert.equal(ids.size, 9);
  });
});
