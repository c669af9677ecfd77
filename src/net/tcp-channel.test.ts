/** What the contract suite cannot ask of a TCP channel. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { encodeSocketAddress } from './address.ts';
import type { ByteChannel } from './channel.ts';
import { dial } from './dial.ts';
import { descriptorOf } from './socket-handle.ts';
import * as sys from './sys.ts';
import { tcpChannel } from './tcp-channel.ts';

test('bytes never go to the connection that got the descriptor of one that has failed', async () => {
  const received: string[] = [];
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on('data', (chunk) => received.push(String(chunk))).on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = await dial({ host: '127.0.0.1', port, timeoutMs: 5000 });
  const channel = tcpChannel(socket);
  const closed = new Promise<void>((resolve) => {
    channel.read({ onData: () => false, onEnd() {}, onDrain() {}, onClose: () => resolve() });
  });
  channel.write(Buffer.from('mine'));
  const fd = descriptorOf(socket);

  // As Node does when a read fails: the descriptor is closed now, the channel hears of it later.
  socket.destroy();
  const another = sys.socket(sys.linux.AF_INET, sys.linux.SOCK_STREAM);
  assert.equal(another, fd, 'the number is taken again');
  sys.connect(another, encodeSocketAddress('127.0.0.1', port, sys.linux.AF_INET), 'the server');
  channel.write(Buffer.from('stray'));
  channel.write(Buffer.alloc(8192, 'stray'));
  channel.end();
  await closed;
  sys.send(another, Buffer.from('theirs'));
  sys.close(another);
  while (accepted.length < 2 || !accepted.every((one) => one.readableEnded || one.destroyed)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(received.toSorted().join(), 'mine,theirs');
  server.close();
});

test('of the messages that one read brings, the first go on at once and the others together, in order', async (t) => {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connectPair = async (): Promise<[ByteChannel, Socket]> => {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = await dial({ host: '127.0.0.1', port, timeoutMs: 5000 });
    return [tcpChannel(socket), (await accepted)[0]];
  };
  const [[from, client], [to, application]] = [await connectPair(), await connectPair()];
  t.after(() => {
    from.reset();
    to.reset();
    client.destroy();
    application.destroy();
    server.close();
  });
  const quiet = { onData: () => false, onEnd() {}, onDrain() {}, onClose() {} };
  const arrived: string[] = [];
  /** What the application could read now, once it is `least` bytes: a busy kernel takes a moment to bring them. */
  const take = (least: number): string => {
    const deadlineMs = performance.now() + 10_000;
    let text = '';
    while (text.length < least && performance.now() < deadlineMs)
      text += Buffer.from(sys.receiveMessage(descriptorOf(application) ?? -1, 1000)?.bytes ?? []).toString();
    return text;
  };
  const arrival = Promise.withResolvers<void>();
  const read = new Promise<void>((resolve) => {
    from.read({
      ...quiet,
      neverKeeps: true,
      onData(bytes) {
        for (const byte of bytes) to.write(Uint8Array.of(byte));
        arrived.push(take(Math.min(bytes.length, 8)));
        resolve();
        if (arrived.length === 3) arrival.resolve();
        return false;
      },
    });
  });
  to.read(quiet);
  client.write('0123456789abcdef');
  await read;
  await new Promise((resolve) => setImmediate(resolve));
  arrived.push(take(8));
  assert.deepEqual(arrived, ['01234567', '89abcdef']);
  // The next read begins anew.
  client.write('xy');
  await arrival.promise;
  assert.equal(arrived[2], 'xy');
});

for (const [name, byteCount] of [
  ['the kernel has it all', 16 * 1024],
  ['some of it still waits here', 8 * 1024 * 1024],
] as const) {
  test(`a peer that ended first, and reads late, gets all and an orderly end, also where ${name}`, async (t) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const { port } = server.address() as AddressInfo;
    const channel = tcpChannel(await dial({ host: '127.0.0.1', port, timeoutMs: 5000 }));
    const [peer] = await accepted;
    t.after(() => {
      channel.reset();
      peer.destroy();
      server.close();
    });
    peer.end();
    const closed = new Promise<Error | undefined>((resolve) => {
      channel.read({
        neverKeeps: true,
        onData: () => false,
        onEnd() {
          const piece = Buffer.alloc(8192, 'x');
          for (let sent = 0; sent < byteCount; sent += piece.length) channel.write(piece);
          channel.end();
        },
        onDrain() {},
        onClose: resolve,
      });
    });
    // Where the kernel has it all the channel is over before anybody reads.
    if (byteCount < 1024 * 1024) assert.equal(await closed, undefined);
    let received = 0;
    peer.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
    await once(peer, 'end');
    assert.equal(received, byteCount);
    assert.equal(await closed, undefined);
  });
}
