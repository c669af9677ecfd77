import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { listen } from './listen.ts';
import { descriptorOf } from './socket-handle.ts';
import { getOption, linux } from './sys.ts';

test('accepted connections send at once what they are given', async () => {
  const accepted = Promise.withResolvers<Socket>();
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: ({ socket }) => accepted.resolve(socket),
  });
  const client = connect(listener.address.port, '127.0.0.1');
  const socket = await accepted.promise;
  const noDelay = getOption(descriptorOf(socket) ?? -1, linux.SOL_TCP, linux.TCP_NODELAY, 4);
  assert.equal(Buffer.from(noDelay ?? []).readInt32LE(0), 1);
  client.destroy();
  socket.destroy();
  await listener.close();
});
