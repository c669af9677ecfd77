import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { HandshakeSlots } from './handshake-slots.ts';

test('one handshake more than may be takes the place of the oldest, and of no other', () => {
  const slots = new HandshakeSlots(3);
  const sockets = Array.from({ length: 5 }, () => new Socket().on('error', () => {}));
  const [first, second, ...others] = sockets as [Socket, Socket, ...Socket[]];
  for (const socket of sockets.slice(0, 3)) slots.begin(socket);
  slots.end(second);
  slots.begin(others[1] as Socket);
  assert.equal(first.destroyed, false);
  slots.begin(others[2] as Socket);
  assert.deepEqual(
    sockets.map((socket) => [socket.destroyed, slots.wasEvicted(socket)]),
    [[true, true], ...Array.from({ length: 4 }, () => [false, false])],
  );
  slots.end(first);
  assert.equal(slots.size, 3);
  for (const socket of sockets) socket.destroy();
});
