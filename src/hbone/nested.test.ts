import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHttp1Client, serveHttp1 } from '../http/h1/index.ts';
import { createHttp2Client, serveHttp2 } from '../http/h2/index.ts';
import { HeaderList } from '../http/header-list.ts';
import type { ClientConnection, RequestHead, RequestListener } from '../http/message.ts';
import { memoryChannelPair, writeResult, type ByteChannel } from '../net/index.ts';
import { createHbonePool, serveHbone } from './index.ts';

/** More than any window of a tunnel. */
const bodyBytes = 6_000_000;
const piece = Buffer.alloc(16_000, 'x');

/** Answers every request with so many bytes, as fast as they are taken. */
const large: RequestListener = {
  onRequest(exchange) {
    let left = bodyBytes;
    const send = (): void => {
      while (left > 0) {
        const bytes = piece.subarray(0, Math.min(piece.length, left));
        left -= bytes.length;
        if (exchange.write(bytes) !== writeResult.done) return;
      }
      exchange.end();
    };
    exchange.read({ onData: (bytes) => exchange.credit(bytes.length), onEnd() {}, onDrain: send, onClose() {} });
    exchange.respond({ status: 200, headers: new HeaderList() }, false);
    send();
  },
};

const head: RequestHead = {
  method: 'GET',
  scheme: 'http',
  authority: 'web',
  path: '/',
  headers: new HeaderList(),
  version: 'http/1.1',
};

function received(connection: ClientConnection): Promise<number> {
  return new Promise((resolve, reject) => {
    let total = 0;
    const exchange = connection.request(head, true, {
      onInformational() {},
      onResponse() {},
      onData(bytes) {
        total += bytes.length;
        exchange.credit(bytes.length);
      },
      onEnd: () => resolve(total),
      onDrain() {},
      onClose: (error) => error && reject(error),
    });
  });
}

/** A tunnel's two ends. */
async function openTunnel(): Promise<[ByteChannel, ByteChannel, () => void]> {
  const [near, far] = memoryChannelPair();
  const accepted = Promise.withResolvers<ByteChannel>();
  serveHbone(far, { onConnect: (request) => accepted.resolve(request.accept()) });
  const pool = createHbonePool({ dial: () => Promise.resolve(near) });
  const tunnel = await pool.connect({ id: 'peer' }, { authority: '10.0.0.1:80' });
  return [tunnel, await accepted.promise, () => pool.close()];
}

describe('inside of a tunnel', () => {
  test('HTTP/2 passes more than the window of the tunnel, on several streams at once', async () => {
    const [near, far, close] = await openTunnel();
    serveHttp2(far, { listener: large });
    const ready = Promise.withResolvers<void>();
    const client = createHttp2Client(near, { listener: { onChange: () => ready.resolve(), onClose() {} } });
    await ready.promise;
    const totals = await Promise.all([1, 2, 3].map(() => received(client)));
    assert.deepEqual(totals, [bodyBytes, bodyBytes, bodyBytes]);
    close();
  });

  test('HTTP/1.1 passes more than the window of the tunnel, request after request', async () => {
    const [near, far, close] = await openTunnel();
    serveHttp1(far, { listener: large, scheme: 'http' });
    const client = createHttp1Client(near, { listener: { onChange() {}, onClose() {} } });
    for (let i = 0; i < 3; i++) {
      assert.equal(await received(client), bodyBytes);
      while (!client.canOpen) await new Promise((resolve) => void setImmediate(resolve));
    }
    close();
  });
});
