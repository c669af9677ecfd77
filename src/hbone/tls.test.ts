/** HBONE over real TLS: the contract, and many tunnels of one connection at once. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { writeResult, type ByteChannel } from '../net/channel.ts';
import { describeChannelContract } from '../net/channel-contract.ts';
import { dial, listen, pump, tlsChannel } from '../net/index.ts';
import { type ConnectRequest, createHbonePool, type HbonePool, type PoolKey, serveHbone } from './index.ts';

const pem = readFileSync(new URL('../net/channel.test.pem', import.meta.url), 'utf8');
const key: PoolKey = { id: 'a' };

async function openMesh(
  onConnect: (request: ConnectRequest) => void,
): Promise<{ pool: HbonePool<PoolKey>; close: () => Promise<void> }> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection({ socket }) {
      const secure = new tls.TLSSocket(socket, { isServer: true, cert: pem, key: pem, ALPNProtocols: ['h2'] });
      secure.once('secure', () => serveHbone(tlsChannel(secure), { onConnect }));
    },
  });
  const pool = createHbonePool<PoolKey>({
    async dial() {
      const socket = await dial({ host: '127.0.0.1', port: listener.address.port, timeoutMs: 2000 });
      const secure = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      await once(secure, 'secureConnect');
      return tlsChannel(secure);
    },
  });
  return {
    pool,
    async close() {
      pool.close();
      await listener.close();
    },
  };
}

describeChannelContract('HBONE tunnel over TLS', async () => {
  let b: ByteChannel | undefined;
  const { pool, close } = await openMesh((request) => (b = request.accept()));
  const a = await pool.connect(key, { authority: '10.0.0.1:80' });
  return { a, b: b as ByteChannel, dispose: close };
});

/** Writes `bytes` in pieces of changing size, from memory that is overwritten as soon as the contract allows; then ends. */
function sendAll(channel: ByteChannel, bytes: Buffer): { onDrain: () => void } {
  const piece = Buffer.alloc(64 * 1024);
  let at = 0;
  const go = (): void => {
    while (at < bytes.length) {
      const length = Math.min(bytes.length - at, 1 + ((at * 7919) % piece.length));
      bytes.copy(piece, 0, at, at + length);
      at += length;
      const result = channel.write(piece.subarray(0, length));
      if (result !== writeResult.kept) piece.fill(0xdb, 0, length);
      if (result !== writeResult.done) return;
    }
    channel.end();
  };
  setImmediate(go);
  return { onDrain: go };
}

describe('HBONE over TLS', () => {
  it(
    'echoes random data through 40 tunnels at once, some read slowly, every byte checked',
    { timeout: 60_000 },
    async () => {
      const { pool, close } = await openMesh((request) => {
        const tunnel = request.accept();
        // An echo: the tunnel pumped into itself.
        const reader = {
          paused: 0,
          onData(bytes: Uint8Array) {
            if (tunnel.write(bytes) === writeResult.done) tunnel.credit(bytes.length);
            else {
              this.paused += bytes.length;
              tunnel.pause();
            }
            return false;
          },
          onEnd: () => tunnel.end(),
          onDrain() {
            tunnel.credit(this.paused);
            this.paused = 0;
            tunnel.resume();
          },
          onClose() {},
        };
        tunnel.read(reader);
      });
      const exchanges = Array.from({ length: 40 }, async (_, i) => {
        const sent = randomBytes(200_000 + i * 40_000);
        const tunnel = await pool.connect(key, { authority: `10.0.0.1:${i + 1}` });
        const hash = createHash('sha256');
        const slow = i % 4 === 0;
        await new Promise<void>((resolve, reject) => {
          const { onDrain } = sendAll(tunnel, sent);
          tunnel.read({
            onData(bytes) {
              hash.update(bytes);
              const { length } = bytes;
              if (!slow) tunnel.credit(length);
              else {
                tunnel.pause();
                setTimeout(() => {
                  tunnel.credit(length);
                  tunnel.resume();
                }, 1);
              }
              return false;
            },
            onEnd() {},
            onDrain,
            onClose: (error) => (error ? reject(error) : resolve()),
          });
        });
        assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
      });
      await Promise.all(exchanges);
      assert.equal(pool.stats.connections, 1);
      await close();
    },
  );

  it('carries a tunnel on into a tunnel without losing a byte', { timeout: 60_000 }, async () => {
    const far = await openMesh((request) => {
      const tunnel = request.accept();
      tunnel.read({
        onData: (bytes) => (tunnel.write(bytes), tunnel.credit(bytes.length), false),
        onEnd: () => tunnel.end(),
        onDrain() {},
        onClose() {},
      });
    });
    const near = await openMesh((request) => {
      void far.pool.connect(key, { authority: request.authority }).then((next) => {
        pump(request.accept(), next, { onEnd() {} });
      });
    });
    const sent = randomBytes(5_000_000);
    const tunnel = await near.pool.connect(key, { authority: '10.0.0.1:80' });
    const received: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      const { onDrain } = sendAll(tunnel, sent);
      tunnel.read({
        onData: (bytes) => (received.push(Buffer.from(bytes)), tunnel.credit(bytes.length), false),
        onEnd() {},
        onDrain,
        onClose: (error) => (error ? reject(error) : resolve()),
      });
    });
    assert.ok(Buffer.concat(received).equals(sent));
    await Promise.all([near.close(), far.close()]);
  });
});
