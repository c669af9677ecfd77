import { deepEqual, equal } from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { afterEach, test } from 'node:test';
import { FakeSpdyClient } from '../../../kube/spdy/fake-spdy-client.ts';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';
import { controlFrame, dataHead, frameType, resetReason, words } from '../../../kube/spdy/index.ts';

const opened: Duplex[] = [];
afterEach(() => {
  for (const side of opened.splice(0)) side.destroy();
});

interface Pair {
  readonly client: FakeSpdyClient;
  readonly connection: SpdyConnection;
  readonly streams: SpdyStream[];
  readonly clientSide: Duplex;
  readonly serverSide: Duplex;
  readonly isClosed: () => boolean;
}

function connect(onStream: (stream: SpdyStream) => void = () => {}, maxStreams = 10): Pair {
  const [clientSide, serverSide] = duplexPair();
  opened.push(clientSide, serverSide);
  const streams: SpdyStream[] = [];
  let closed = false;
  const connection = new SpdyConnection({
    transport: serverSide,
    maxStreams,
    onStream(stream) {
      streams.push(stream);
      onStream(stream);
    },
    onClose: () => (closed = true),
  });
  const client = new FakeSpdyClient(clientSide);
  return { client, connection, streams, clientSide, serverSide, isClosed: () => closed };
}

test('a stream is answered before its data, and both directions end by themselves', async () => {
  const { client, streams } = connect((stream) => {
    stream.on('data', (chunk: Buffer) => void stream.write(chunk.toString().toUpperCase()));
    stream.on('end', () => stream.end('!'));
  });
  const id = await client.open({ streamtype: 'data', port: '80' });
  client.send(id, 'hello ');
  client.send(id, 'world', true);
  await client.until(() => client.streams.get(id)?.ended ?? false);
  equal(client.streams.get(id)?.data.toString(), 'HELLO WORLD!');
  deepEqual(
    [...(streams[0]?.headers ?? [])],
    [
      ['streamtype', 'data'],
      ['port', '80'],
    ],
  );
  equal(client.streams.get(id)?.reset, undefined);
});

test('many streams keep their bytes apart', async () => {
  const { client } = connect((stream) => stream.pipe(stream));
  const ids: number[] = [];
  for (let i = 0; i < 4; i++) ids.push(await client.open({ streamtype: 'data' }));
  const texts = ids.map((id) => String(id).repeat(100_000));
  for (let at = 0; at < 100_000; at += 10_000)
    ids.forEach((id, i) => client.send(id, (texts[i] ?? '').slice(at, at + 10_000), at === 90_000));
  await client.until(() => ids.every((id) => client.streams.get(id)?.ended));
  ids.forEach((id, i) => equal(client.streams.get(id)?.data.toString(), texts[i]));
});

test('a stream beyond the limit, of a used number or refused by its handler is reset', async () => {
  const { client } = connect((stream) => {
    if (stream.headers.get('streamtype') === 'bad') throw new Error('refused');
  }, 2);
  await client.open({ streamtype: 'bad' }, 1);
  await client.until(() => client.streams.get(1)?.reset === resetReason.cancel);
  await client.open({ streamtype: 'a' }, 3);
  await client.open({ streamtype: 'b' }, 5);
  await client.open({ streamtype: 'c' }, 7);
  await client.until(() => client.streams.get(7)?.reset === resetReason.refusedStream);
  await client.open({ streamtype: 'again' }, 5);
  await client.until(() => client.streams.get(5)?.reset === resetReason.protocolError);
  await client.open({ streamtype: 'even' }, 8);
  await client.until(() => client.streams.get(8)?.reset === resetReason.protocolError);
});

test('a reset of the client closes the stream, and its place is free again', async () => {
  const { client, streams } = connect(() => {}, 1);
  const id = await client.open({ streamtype: 'a' });
  await client.until(() => client.streams.get(id)?.replied ?? false);
  const closed = once(streams[0] as SpdyStream, 'close');
  client.write(controlFrame(frameType.rstStream, 0, words(id, resetReason.cancel)));
  await closed;
  const next = await client.open({ streamtype: 'b' });
  await client.until(() => client.streams.get(next)?.replied ?? false);
});

test('a reader that is behind stops the reading of the connection, and starts it again', async () => {
  const { client, streams, serverSide } = connect();
  const id = await client.open({ streamtype: 'a' });
  await client.until(() => client.streams.get(id)?.replied ?? false);
  const paused = once(serverSide, 'pause');
  const part = Buffer.alloc(64 * 1024, 'x');
  for (let i = 0; i < 64; i++) client.send(id, part);
  await paused;
  equal((streams[0]?.readableLength ?? 0) < 1024 * 1024, true);
  let read = 0;
  streams[0]?.on('data', (chunk: Buffer) => (read += chunk.length));
  client.send(id, '', true);
  await once(streams[0] as SpdyStream, 'end');
  equal(read, 64 * part.length);
});

test('pings are answered, those of the other parity are not', async () => {
  const { client } = connect();
  client.write(controlFrame(frameType.ping, 0, words(2)));
  client.write(controlFrame(frameType.ping, 0, words(1)));
  client.write(controlFrame(frameType.settings, 0, words(0)));
  client.write(controlFrame(frameType.windowUpdate, 0, words(1, 4096)));
  client.write(controlFrame(frameType.ping, 0, words(3)));
  await client.until(() => client.pings.length === 2);
  deepEqual(client.pings, [1, 3]);
});

test('a client that takes no answers is dropped', async () => {
  const { clientSide, serverSide, isClosed } = connect();
  clientSide.pause();
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => controlFrame(frameType.ping, 0, words(1))));
  const closed = once(serverSide, 'close');
  for (let i = 0; i < 10; i++) clientSide.write(pings);
  await closed;
  equal(isClosed(), true);
});

test('a frame that is wrong ends the connection with GOAWAY, and its streams', async () => {
  const { client, streams, isClosed } = connect();
  const id = await client.open({ streamtype: 'a' });
  await client.until(() => client.streams.get(id)?.replied ?? false);
  client.write(Buffer.from('8002000100000000', 'hex'));
  await client.until(() => client.goAway === 1);
  equal(streams[0]?.destroyed, true);
  equal(isClosed(), true);
});

test('ending lets out what was written, then says GOAWAY', async () => {
  const { client, connection } = connect((stream) => stream.end('last words', () => connection.end()));
  const id = await client.open({ streamtype: 'a' });
  await client.until(() => client.goAway === 0);
  equal(client.streams.get(id)?.data.toString(), 'last words');
  equal(client.streams.get(id)?.ended, true);
  await client.open({ streamtype: 'late' });
});

test('data for streams that are not there goes nowhere', async () => {
  const { client } = connect();
  client.write(Buffer.concat([dataHead(99, 3, 1), Buffer.from('abc')]));
  client.write(controlFrame(frameType.rstStream, 0, words(77, 5)));
  client.write(controlFrame(frameType.ping, 0, words(1)));
  await client.until(() => client.pings.length === 1);
});
