import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ByteChannel } from '../net/channel.ts';
import { describeChannelContract } from '../net/channel-contract.ts';
import { memoryChannelPair } from '../net/memory-channel.ts';
import { ReceiveBudget } from '../http/h2/index.ts';
import { RawPeer, rawFrame, turns, uint32 } from '../http/h2/raw-peer.ts';
import {
  type ConnectRequest,
  createHbonePool,
  type HbonePool,
  type HboneServerSession,
  type PoolKey,
  reasonHeader,
  serveHbone,
} from './index.ts';

const key: PoolKey = { id: 'a' };

/** A pool whose dials are served in memory by `onConnect`. */
function openMesh(
  onConnect: (request: ConnectRequest) => void,
  options: { keeps?: boolean } = {},
): {
  pool: HbonePool<PoolKey>;
  servers: HboneServerSession[];
} {
  const servers: HboneServerSession[] = [];
  const pool = createHbonePool<PoolKey>({
    async dial() {
      const [near, far] = memoryChannelPair(options);
      servers.push(serveHbone(far, { onConnect }));
      return near;
    },
  });
  return { pool, servers };
}

async function openTunnelPair(keeps: boolean): Promise<{ a: ByteChannel; b: ByteChannel; dispose: () => void }> {
  let b: ByteChannel | undefined;
  const { pool } = openMesh((request) => (b = request.accept()), { keeps });
  const a = await pool.connect(key, { authority: '10.0.0.1:80' });
  return { a, b: b as ByteChannel, dispose: () => pool.close() };
}

describeChannelContract('HBONE tunnel over copying memory', () => openTunnelPair(false));
describeChannelContract('HBONE tunnel over keeping memory', () => openTunnelPair(true));

/** What a reader sees, as text. */
function record(channel: ByteChannel): string[] {
  const events: string[] = [];
  channel.read({
    onData(bytes) {
      events.push(Buffer.from(bytes).toString());
      channel.credit(bytes.length);
      return false;
    },
    onEnd: () => events.push('end'),
    onDrain() {},
    onClose: (error) => events.push(`close ${(error as { code?: string } | undefined)?.code ?? 'ok'}`),
  });
  return events;
}

describe('HBONE', () => {
  it('connects, carries the request fields and the response fields', async () => {
    const { pool } = openMesh((request) => {
      assert.equal(request.authority, '10.0.0.1:80');
      assert.equal(request.headers.get('baggage'), 'k8s.cluster.name=x');
      request.accept({ baggage: 'service.name=y' });
    });
    const tunnel = await pool.connect(key, { authority: '10.0.0.1:80', headers: { baggage: 'k8s.cluster.name=x' } });
    assert.equal(tunnel.responseHeaders.get('baggage'), 'service.name=y');
    pool.close();
  });

  it('rejects with the status and the reason of a refusal, and the connection goes on', async () => {
    const { pool } = openMesh((request) => {
      if (request.authority.endsWith(':81')) request.refuse(401, { [reasonHeader]: 'policy shop/deny' });
      else request.accept();
    });
    await assert.rejects(pool.connect(key, { authority: '10.0.0.1:81' }), {
      code: 'hbone.refused',
      status: 401,
      reason: 'policy shop/deny',
      message: 'Cannot open tunnel: http status: 401 (policy shop/deny)',
    });
    await pool.connect(key, { authority: '10.0.0.1:80' });
    assert.deepEqual(pool.stats, { connections: 1, tunnels: 1, dialing: 0, waiting: 0 });
    pool.close();
  });

  it('delays the answer until it is given, and holds what comes before', async () => {
    const [near, far] = memoryChannelPair();
    const peer = new RawPeer(far, { skipPreface: false }).greet(true);
    let waiting: ConnectRequest | undefined;
    serveHbone(near, { onConnect: (request) => (waiting = request) });
    peer.headers(1, { ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
    peer.send(rawFrame(0, 0, 1, Buffer.from('early'))).send(rawFrame(0, 1, 1, Buffer.from(' bird')));
    await turns();
    assert.equal(peer.of('headers').length, 0);
    const events = record(waiting?.accept() as ByteChannel);
    await turns();
    assert.equal(events.join(''), 'early birdend');
    assert.equal(peer.of('headers').length, 1);
  });

  it('answers anything but a well-formed CONNECT 400', async () => {
    const [near, far] = memoryChannelPair();
    const peer = new RawPeer(far, { skipPreface: false }).greet(true);
    const refused: string[] = [];
    serveHbone(near, {
      onConnect: (request) => void request.accept(),
      onRefused: (problem) => refused.push(problem),
    });
    peer.headers(1, { ':method': 'GET', ':scheme': 'https', ':path': '/', ':authority': 'a' });
    peer.headers(3, { ':method': 'CONNECT' });
    peer.headers(5, { ':method': 'CONNECT', ':authority': '' });
    peer.headers(7, { ':method': 'CONNECT', ':authority': 'a:1', ':scheme': 'https', ':path': '/' });
    peer.headers(9, { ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
    await turns();
    assert.deepEqual(
      peer.heads().map(({ fields }) => fields?.get(':status')),
      ['400', '400', '400', '400', '200'],
    );
    assert.deepEqual(refused, [
      'method is not CONNECT',
      'CONNECT without :authority',
      'CONNECT without :authority',
      'CONNECT with :scheme or :path',
    ]);
    assert.equal(peer.goaway, undefined);
  });

  it('reads a reset with CANCEL or NO_ERROR as the end, and any other as a reset', async () => {
    for (const [code, expected] of [
      [8, ['data', 'end', 'close ok']],
      [0, ['data', 'end', 'close ok']],
      [2, ['data', 'close hbone.reset']],
      [10, ['data', 'close hbone.reset']],
    ] as const) {
      const [near, far] = memoryChannelPair();
      const peer = new RawPeer(far, { skipPreface: false }).greet(true);
      let events: string[] = [];
      serveHbone(near, { onConnect: (request) => (events = record(request.accept())) });
      peer.headers(1, { ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
      peer.send(rawFrame(0, 0, 1, Buffer.from('data'))).send(rawFrame(3, 0, 1, uint32(code)));
      await turns();
      assert.deepEqual(events, expected);
    }
  });

  it('resets with CONNECT_ERROR, so that the far side does not take a cut for an end', async () => {
    const [near, far] = memoryChannelPair();
    const peer = new RawPeer(far, { skipPreface: false }).greet(true);
    let tunnel: ByteChannel | undefined;
    serveHbone(near, { onConnect: (request) => (tunnel = request.accept()) });
    peer.headers(1, { ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
    await turns();
    const events = record(tunnel as ByteChannel);
    tunnel?.reset();
    await turns();
    assert.equal(peer.reset(1), 'connectError');
    assert.deepEqual(events, ['close net.reset']);
  });

  it('keeps 1,000 stalled readers inside the budget, and serves others meanwhile', async () => {
    const budget = new ReceiveBudget({ heldBytes: 24 << 20 });
    const held: ByteChannel[] = [];
    const pool = createHbonePool<PoolKey>({
      async dial() {
        const [near, far] = memoryChannelPair({ highWaterBytes: 1 << 20 });
        serveHbone(far, {
          budget,
          onConnect(request) {
            const channel = request.accept();
            // A stalled reader does not credit; the others echo.
            if (request.authority === 'stalled') held.push(channel);
            else {
              channel.read({
                onData: (bytes) => (channel.write(Buffer.from(bytes)), channel.credit(bytes.length), false),
                onEnd: () => channel.end(),
                onDrain() {},
                onClose() {},
              });
            }
          },
        });
        return near;
      },
    });
    const chunk = Buffer.alloc(32 * 1024);
    for (let i = 0; i < 1000; i++) {
      const tunnel = await pool.connect(key, { authority: 'stalled' });
      for (let sent = 0; sent < 4; sent++) tunnel.write(chunk);
    }
    await turns(50);
    assert.equal(held.length, 1000);
    // 24 MiB, and at most the connection windows that were open when it was reached.
    assert.ok(budget.heldBytes > 20 << 20 && budget.heldBytes < (24 + 44) << 20, `${budget.heldBytes} bytes held`);
    const echo = await pool.connect({ id: 'b' }, { authority: 'echo' });
    let echoed = 0;
    echo.read({
      neverKeeps: true,
      onData: (bytes) => ((echoed += bytes.length), echo.credit(bytes.length), false),
      onEnd() {},
      onDrain() {},
      onClose() {},
    });
    // More than the window that it had before the budget was used up.
    const message = Buffer.alloc(50_000, 'x');
    for (let i = 1; i <= 200; i++) {
      echo.write(message);
      for (let turn = 0; turn < 100 && echoed < i * message.length; turn++) await turns(1);
    }
    assert.equal(echoed, 200 * message.length);
    pool.close();
    await turns(20);
    assert.equal(budget.heldBytes, 0);
  });
});
