import { equal } from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { text } from 'node:stream/consumers';
import { mock, test } from 'node:test';
import type { WebSocket } from 'ws';
import { openChannelForward } from './channel-forward.ts';

/** The server's messages come by `say`. */
class FakeWebSocket extends EventEmitter {
  isPaused = false;

  say(channel: number, bytes: string | Buffer): void {
    this.emit('message', Buffer.concat([Buffer.from([channel]), Buffer.from(bytes)]));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  send(_bytes: Buffer, done: () => void): void {
    done();
  }

  terminate(): void {}
}

test('a pod that falls silent after our end has ended, one that our reader keeps waiting has not', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const socket = new FakeWebSocket();
    const stream = openChannelForward(socket as unknown as WebSocket, (detail) => new Error(detail));
    socket.say(0, 'pt');
    const ended = once(stream, 'finish');
    stream.end('ask');
    await ended;
    const much = 'a'.repeat(200_000);
    socket.say(0, much);
    equal(socket.isPaused, true);
    mock.timers.tick(60_000);
    const answer = text(stream);
    // The reader asks for more by itself.
    while (socket.isPaused) await new Promise((resolve) => setImmediate(resolve));
    socket.say(0, ' and more');
    mock.timers.tick(10_000);
    socket.say(0, ' too late');
    equal(await answer, `${much} and more`);
  } finally {
    mock.timers.reset();
  }
});
