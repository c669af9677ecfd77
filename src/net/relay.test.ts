import { equal, ok } from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { dial, listen, pump, tcpChannel, tlsChannel, type ByteChannel } from './index.ts';

const pem = readFileSync(new URL('./channel.test.pem', import.meta.url), 'utf8');

/** A server that answers what it got, at random speeds, and half-closes after the client did. */
async function echoServer(t: TestContext, stall: boolean): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (stall) return void socket.pause();
    socket.on('data', (chunk) => {
      if (!socket.write(chunk) || chunk.length % 7 === 0) {
        socket.pause();
        setTimeout(() => socket.resume(), chunk.length % 5);
      }
    });
    socket.on('end', () => socket.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** client → plain relay → TLS → plain relay → `port`, as two ztunnels without HTTP/2 between them. */
async function relayPair(t: TestContext, port: number): Promise<{ port: number; held: () => number }> {
  const channels = new Set<ByteChannel>();
  let read = 0;
  let written = 0;
  const join = (a: ByteChannel, b: ByteChannel): void => {
    channels.add(a);
    channels.add(b);
    pump(a, b, {
      onBytes: (from, byteCount) => {
        if (from === 'a') read += byteCount;
        else written += byteCount;
      },
      onEnd: () => {
        channels.delete(a);
        channels.delete(b);
      },
    });
  };
  const far = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: ({ socket }) => {
      const secure = new tls.TLSSocket(socket, { isServer: true, cert: pem, key: pem, minVersion: 'TLSv1.3' });
      secure.on('error', () => {});
      secure.once('secure', () => {
        dial({ host: '127.0.0.1', port, timeoutMs: 5000 }).then(
          (upstream) => join(tlsChannel(secure), tcpChannel(upstream)),
          () => secure.destroy(),
        );
      });
    },
  });
  const near = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: ({ socket }) => {
      dial({ host: '127.0.0.1', port: far.address.port, timeoutMs: 5000 }).then(
        (upstream) => {
          const secure = tls.connect({ socket: upstream, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
          secure.on('error', () => {});
          secure.once('secureConnect', () => join(tcpChannel(socket), tlsChannel(secure)));
        },
        () => socket.destroy(),
      );
    },
  });
  t.after(async () => {
    for (const channel of channels) channel.reset();
    await near.close();
    await far.close();
  });
  return { port: near.address.port, held: () => read + written };
}

function sha256(chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

test(
  'a hundred connections at once keep their bytes apart, through plain and TLS relays',
  { timeout: 120_000 },
  async (t) => {
    const { port } = await relayPair(t, await echoServer(t, false));
    const one = async (index: number): Promise<void> => {
      const sent = randomBytes(1 + ((index * 7919) % 400_000));
      const socket = connect(port, '127.0.0.1');
      const received: Buffer[] = [];
      socket.on('data', (chunk) => received.push(chunk as Buffer));
      for (let at = 0; at < sent.length;) {
        const size = 1 + ((at * 31 + index * 17) % 30_000);
        socket.write(sent.subarray(at, at + size));
        at += size;
        if (at % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
      await once(socket, 'close');
      equal(sha256(received), sha256([sent]), `connection ${index}`);
    };
    await Promise.all(Array.from({ length: 100 }, (_, index) => one(index)));
  },
);

test('a reader that stalls holds a bounded amount in the relay', { timeout: 120_000 }, async (t) => {
  const { port, held } = await relayPair(t, await echoServer(t, true));
  const socket = connect(port, '127.0.0.1');
  t.after(() => void socket.destroy());
  socket.on('error', () => {});
  const chunk = randomBytes(64 * 1024);
  let stuckTurns = 0;
  let before = -1;
  while (stuckTurns < 50) {
    while (socket.writableLength < 1024 * 1024) socket.write(chunk);
    await new Promise((resolve) => setTimeout(resolve, 2));
    stuckTurns = held() === before ? stuckTurns + 1 : 0;
    before = held();
  }
  // Three pairs of kernel buffers and our own; not the whole stream.
  ok(held() < 100 * 1024 * 1024, `${held()} bytes`);
});

test('a client that resets in mid-stream takes the far side with it', { timeout: 60_000 }, async (t) => {
  const came = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => gone.resolve());
    socket.on('close', () => gone.resolve());
    socket.on('data', () => came.resolve());
  }).listen(0, '127.0.0.1');
  t.after(() => void server.close());
  await once(server, 'listening');
  const { port } = await relayPair(t, (server.address() as AddressInfo).port);
  const socket = connect(port, '127.0.0.1');
  socket.write(randomBytes(100_000));
  await came.promise;
  socket.resetAndDestroy();
  await gone.promise;
});
