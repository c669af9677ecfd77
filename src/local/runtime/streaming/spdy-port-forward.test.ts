import { equal, rejects } from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { duplexPair, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import { FakeSpdyClient } from '../../../kube/spdy/fake-spdy-client.ts';
import {
  controlFrame,
  dataHead,
  flagFin,
  FrameReader,
  frameType,
  openForwardedStream,
  words,
} from '../../../kube/spdy/index.ts';
import { serveSpdyPortForward } from './spdy-port-forward.ts';

/** Answers when its client has ended. */
const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('end', () => socket.end(Buffer.concat(chunks).toString().toUpperCase()));
});
let port = 0;
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
after(() => server.close());

async function dial(to: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: to, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket.pause();
}

function serve(clock = createFakeClock()): { client: FakeSpdyClient; [Symbol.dispose](): void } {
  const [near, far] = duplexPair();
  serveSpdyPortForward({ transport: far, connect: dial, pod: 'default/web', clock });
  return {
    client: new FakeSpdyClient(near),
    [Symbol.dispose]() {
      near.destroy();
      far.destroy();
    },
  };
}

test('pairs of streams are connections of their own, whose client ends first', async () => {
  using connection = serve();
  const { client } = connection;
  const open = async (id: string): Promise<{ data: number; error: number }> => {
    const error = await client.open({ streamtype: 'error', port: String(port), requestid: id });
    client.send(error, '', true);
    return { error, data: await client.open({ streamtype: 'data', port: String(port), requestid: id }) };
  };
  const [first, second] = [await open('0'), await open('1')];
  client.send(first.data, 'first', true);
  client.send(second.data, 'sec');
  client.send(second.data, 'ond', true);
  await client.until(() => [first, second].every(({ data }) => client.streams.get(data)?.ended));
  equal(client.streams.get(first.data)?.data.toString(), 'FIRST');
  equal(client.streams.get(second.data)?.data.toString(), 'SECOND');
  await client.until(() => client.streams.get(first.error)?.ended ?? false);
  equal(client.streams.get(first.error)?.data.toString(), '');
});

test('clients without request ids get their pairs by number', async () => {
  using connection = serve();
  const { client } = connection;
  await client.open({ streamtype: 'error', port: String(port) });
  const data = await client.open({ streamtype: 'data', port: String(port) });
  client.send(data, 'old', true);
  await client.until(() => client.streams.get(data)?.ended ?? false);
  equal(client.streams.get(data)?.data.toString(), 'OLD');
});

test('a port that refuses is told on the error stream', async () => {
  using connection = serve();
  const { client } = connection;
  const error = await client.open({ streamtype: 'error', port: '1', requestid: '0' });
  const data = await client.open({ streamtype: 'data', port: '1', requestid: '0' });
  await client.until(() => (client.streams.get(error)?.ended && client.streams.get(data)?.ended) ?? false);
  equal(
    client.streams.get(error)?.data.toString(),
    'error forwarding port 1 to pod default/web: connect ECONNREFUSED 127.0.0.1:1',
  );
});

test('streams that say nothing of use are refused, and a half pair is given up', async () => {
  const clock = createFakeClock();
  using connection = serve(clock);
  const { client } = connection;
  const bad = [{ streamtype: 'data' }, { streamtype: 'data', port: '0' }, { streamtype: 'stdin', port: '80' }];
  for (const headers of bad) {
    const id = await client.open(headers as Record<string, string>);
    await client.until(() => client.streams.get(id)?.reset !== undefined);
  }
  const error = await client.open({ streamtype: 'error', port: '80', requestid: '0' });
  await client.until(() => client.streams.get(error)?.replied ?? false);
  clock.advance(30_000);
  await client.until(() => client.streams.get(error)?.ended ?? false);
  equal(client.streams.get(error)?.data.toString(), 'timed out waiting for streams');
  equal(clock.pending, 0);
});

test('our own client ends first, too, and hears why a port is closed', async () => {
  const open = (to: number): Duplex => {
    const [near, far] = duplexPair();
    serveSpdyPortForward({ transport: far, connect: dial, pod: 'default/web', clock: createFakeClock() });
    return openForwardedStream({ transport: near, port: to, failure: (detail) => new Error(detail) });
  };
  const stream = open(port);
  stream.write('all that ');
  stream.end('there is');
  equal(await text(stream), 'ALL THAT THERE IS');
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const nobody = (closed.address() as AddressInfo).port;
  closed.close();
  await rejects(text(open(nobody)), /error forwarding port \d+ to pod default\/web: .*ECONNREFUSED/);
});

test('our own client takes an end of the connection for no end of the data', async () => {
  const [near, far] = duplexPair();
  const stream = openForwardedStream({ transport: near, port: 80, failure: (detail) => new Error(detail) });
  far.end();
  await rejects(text(stream), /the connection ended/);
});

/** Our own client against a server that the test plays: what it takes of us comes by `far`. */
function openScripted(): { stream: Duplex; far: Duplex; [Symbol.dispose](): void } {
  const [near, far] = duplexPair();
  const stream = openForwardedStream({ transport: near, port: 80, failure: (detail) => new Error(detail) });
  return {
    stream,
    far,
    [Symbol.dispose]() {
      stream.destroy();
      far.destroy();
    },
  };
}

const ping = (id: number): Buffer => controlFrame(frameType.ping, 0, words(id));

test('our own client goes on listening behind an end that its reader was slow to come to', async () => {
  using scripted = openScripted();
  const { stream, far } = scripted;
  const answered = Promise.withResolvers<void>();
  const reader = new FrameReader({
    data() {},
    control: (type) => type === frameType.ping && answered.resolve(),
  });
  far.on('data', (chunk: Buffer) => reader.read(chunk));
  far.write(dataHead(3, 200_000, flagFin));
  far.write(Buffer.alloc(200_000));
  await once(stream, 'readable');
  while (!stream.readableEnded) {
    if (stream.read() === null) await new Promise((resolve) => setImmediate(resolve));
  }
  far.write(ping(2));
  await answered.promise;
});

test('our own client leaves a server that asks and takes no answers', async () => {
  using scripted = openScripted();
  const { stream, far } = scripted;
  const pings = Buffer.concat(Array.from({ length: 20_000 }, (_, i) => ping(2 * i + 2)));
  far.write(pings);
  await rejects(text(stream), /takes no answers to its pings/);
});
