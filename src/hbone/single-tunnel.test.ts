/** A tunnel inside of a tunnel, as through the gateway of another network: the gateway carries bytes that it cannot read. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import type { ByteChannel } from '../net/channel.ts';
import { describeChannelContract } from '../net/channel-contract.ts';
import { channelDuplex, dial, listen, memoryChannelPair, pump, tcpChannel, tlsChannel } from '../net/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { createHbonePool, serveHbone, type ConnectRequest } from './index.ts';
import { connectSingleTunnel } from './single-tunnel.ts';

const pem = readFileSync(new URL('../net/channel.test.pem', import.meta.url), 'utf8');

/** An HBONE server on loopback. */
async function serveTls(
  onConnect: (request: ConnectRequest) => void,
): Promise<{ port: number; close: () => Promise<void> }> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection({ socket }) {
      const secure = new tls.TLSSocket(socket, { isServer: true, cert: pem, key: pem, ALPNProtocols: ['h2'] });
      secure.once('secure', () => serveHbone(tlsChannel(secure), { onConnect }));
    },
  });
  return { port: listener.address.port, close: () => listener.close() };
}

async function openPair(onConnect: (request: ConnectRequest) => void): Promise<{
  connect: () => Promise<ByteChannel>;
  close: () => Promise<void>;
}> {
  const far = await serveTls(onConnect);
  const gateway = await serveTls((request) => {
    void dial({ host: '127.0.0.1', port: far.port, timeoutMs: 2000 }).then((socket) =>
      pump(request.accept(), tcpChannel(socket), { onEnd() {} }),
    );
  });
  const pool = createHbonePool({
    async dial() {
      const socket = await dial({ host: '127.0.0.1', port: gateway.port, timeoutMs: 2000 });
      const secure = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      await once(secure, 'secureConnect');
      return tlsChannel(secure);
    },
  });
  return {
    async connect() {
      const outer = await pool.connect({ id: 'gateway' }, { authority: 'web:80' });
      const secure = tls.connect({ socket: channelDuplex(outer), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      await once(secure, 'secureConnect');
      return connectSingleTunnel({ channel: tlsChannel(secure), request: { authority: 'web:80' }, timeoutMs: 2000 });
    },
    async close() {
      pool.close();
      await gateway.close();
      await far.close();
    },
  };
}

describeChannelContract('HBONE tunnel inside of a tunnel', async () => {
  let b: ByteChannel | undefined;
  const { connect, close } = await openPair((request) => (b = request.accept()));
  const a = await connect();
  return { a, b: b as ByteChannel, dispose: close };
});

describe('tunnels inside of tunnels', () => {
  it('over one outer connection never mix their bytes', async () => {
    // Each answers with the digest of what it got.
    const { connect, close } = await openPair((request) => {
      const channel = request.accept();
      const hash = createHash('sha256');
      channel.read({
        neverKeeps: true,
        onData(bytes) {
          hash.update(bytes);
          channel.credit(bytes.length);
          return false;
        },
        onEnd() {
          channel.write(hash.digest());
          channel.end();
        },
        onDrain() {},
        onClose() {},
      });
    });
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const channel = await connect();
        const sent = randomBytes(200_000);
        const answer = new Promise<Buffer>((resolve, reject) => {
          const received: Buffer[] = [];
          channel.read({
            neverKeeps: true,
            onData(bytes) {
              received.push(Buffer.from(bytes));
              channel.credit(bytes.length);
              return false;
            },
            onEnd: () => resolve(Buffer.concat(received)),
            onDrain() {},
            onClose: (error) => error && reject(error),
          });
        });
        channel.write(sent);
        channel.end();
        assert.deepEqual(await answer, createHash('sha256').update(sent).digest());
      }),
    );
    await close();
  });

  it('are given up when nobody answers in time, and end what is below them', async () => {
    const [channel, peer] = memoryChannelPair();
    const clock = createFakeClock();
    const failed = assert.rejects(
      connectSingleTunnel({ channel, request: { authority: 'web:80' }, timeoutMs: 1000, clock }),
      { code: 'hbone.dial-timeout' },
    );
    const closed = new Promise((resolve) =>
      peer.read({ onData: () => false, onEnd() {}, onDrain() {}, onClose: resolve }),
    );
    clock.advance(1001);
    await failed;
    clock.advance(60_000);
    await closed;
  });
});
