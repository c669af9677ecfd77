import { equal } from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import { channelDuplex, memoryChannelPair, tlsChannel } from './index.ts';

const pem = readFileSync(new URL('./channel.test.pem', import.meta.url), 'utf8');

interface Pair {
  readonly client: tls.TLSSocket;
  readonly server: tls.TLSSocket;
  /** The streams below, whose close is told by `closed`. */
  readonly below: readonly [Duplex, Duplex];
  readonly closed: Promise<unknown>;
}

/** TLS between two ends of a tunnel. */
async function openTls(): Promise<Pair> {
  const [near, far] = memoryChannelPair();
  const below = [channelDuplex(near), channelDuplex(far)] as const;
  const closed = Promise.all(below.map((stream) => once(stream, 'close')));
  const server = new tls.TLSSocket(below[1], { isServer: true, cert: pem, key: pem, minVersion: 'TLSv1.3' });
  const client = tls.connect({ socket: below[0], rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  await Promise.all([once(server, 'secure'), once(client, 'secureConnect'), once(client, 'session')]);
  return { client, server, below, closed };
}

test('what came before both ends is there for a reader that was slow, and then all is closed', async () => {
  const { client, server, below, closed } = await openTls();
  const reader = tlsChannel(client);
  const over = Promise.withResolvers<void>();
  let bytes = 0;
  reader.read({
    onData(piece) {
      bytes += piece.length;
      reader.credit(piece.length);
      return false;
    },
    onEnd() {},
    onDrain() {},
    onClose: (error) => (error ? over.reject(error) : over.resolve()),
  });
  reader.pause();
  reader.end();
  server.resume();
  server.end(Buffer.alloc(10_000));
  // As long as nobody reads, the end is there and not yet heard.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  equal(below[0].destroyed, false);
  reader.resume();
  await over.promise;
  equal(bytes, 10_000);
  await closed;
});

test('an end that TLS was not told of closes the stream as well', async () => {
  const { client, server, below, closed } = await openTls();
  client.on('error', () => {}).resume();
  server.on('error', () => {}).resume();
  below[1].end();
  client.end();
  await once(client, 'close');
  server.destroy();
  await closed;
});

test('a handshake that fails leaves nothing behind', async () => {
  const [near, far] = memoryChannelPair();
  const below = [channelDuplex(near), channelDuplex(far)] as const;
  below[0].on('error', () => {});
  const closed = once(below[0], 'close');
  const client = tls.connect({ socket: below[0], rejectUnauthorized: false });
  below[1].on('error', () => {}).resume();
  below[1].write('this is no TLS');
  await once(client, 'error');
  await closed;
  below[1].destroy();
});
