import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import { WebSocket } from 'ws';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import { FakeSpdyClient } from '../../../kube/spdy/fake-spdy-client.ts';
import { parseRemoteOptions, SizeReader, type RemoteSession } from './remote-session.ts';
import { exitStatus, internalStatus } from './remote-status.ts';
import { remoteCommandProtocols, serveSpdySession } from './spdy-session.ts';
import { acceptSpdy, acceptWebSocket, isWebSocketUpgrade } from './upgrade.ts';
import { openWebSocketSession, webSocketProtocols } from './web-socket-session.ts';
import { tunnelProtocol } from '../../../kube/spdy/index.ts';

const clock = createFakeClock();
const remote = { stdin: true, stdout: true, stderr: true, tty: false };
let serve: (session: RemoteSession) => void;
const server = createServer();
server.on('upgrade', (request, socket, head) => {
  const upgrade = { request, socket, head };
  if (isWebSocketUpgrade(request)) {
    acceptWebSocket(upgrade, [...webSocketProtocols, tunnelProtocol], (webSocket) => {
      serve(openWebSocketSession(webSocket, remote));
    });
  } else {
    acceptSpdy(upgrade, remoteCommandProtocols, (protocol) =>
      serveSpdySession({ transport: socket, protocol, remote, clock, start: (session) => serve(session) }),
    );
  }
});
let port = 0;
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
/** Gives its input back in capitals, tells how long it was on stderr, and ends with 3. */
beforeEach(() => {
  serve = (session) => {
    let length = 0;
    session.stdin?.on('data', (chunk: Buffer) => {
      length += chunk.length;
      session.stdout?.write(chunk.toString().toUpperCase());
    });
    session.stdin?.on('end', () => {
      session.stderr?.write(`${length}`);
      session.finish(exitStatus(3));
    });
  };
});

const outcome = JSON.stringify(exitStatus(3));

/** Sends the messages and collects what comes on each channel until the end. */
async function talk(protocols: string[], messages: readonly (string | Buffer)[]): Promise<Record<string, string>> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols);
  const heard: Record<string, string> = {};
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const channel = isBinary ? String(data[0]) : data.toString('latin1', 0, 1);
    const text = isBinary ? data.toString('utf8', 1) : Buffer.from(data.toString('latin1', 1), 'base64').toString();
    heard[channel] = (heard[channel] ?? '') + text;
  });
  await once(socket, 'open');
  for (const message of messages) socket.send(message);
  const [code] = (await once(socket, 'close')) as [number];
  return { ...heard, code: String(code), protocol: socket.protocol };
}

test('v5 closes the input by a signal, and tells the outcome in JSON', async () => {
  deepEqual(await talk(['v5.channel.k8s.io', 'v4.channel.k8s.io'], [Buffer.from('\0hello'), Buffer.from([255, 0])]), {
    1: 'HELLO',
    2: '5',
    3: outcome,
    code: '1000',
    protocol: 'v5.channel.k8s.io',
  });
});

test('the oldest protocol tells the outcome as text, base64 speaks in text', async () => {
  serve = (session) => {
    session.stdin?.once('data', (chunk: Buffer) => {
      session.stdout?.write(chunk);
      session.finish(internalStatus('broken'));
    });
  };
  const plain = await talk(['channel.k8s.io'], [Buffer.from('\0a')]);
  equal(plain['3'], 'Internal error occurred: broken');
  const encoded = await talk(['base64.channel.k8s.io'], [`0${Buffer.from('b').toString('base64')}`]);
  deepEqual([encoded['1'], encoded['3']], ['b', 'Internal error occurred: broken']);
  const none = await talk([], [Buffer.from('\0c')]);
  deepEqual([none['1'], none['protocol']], ['c', '']);
});

test('a protocol name with a slash can be agreed on, one that nobody speaks not', async () => {
  serve = (session) => session.finish(exitStatus(0));
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const ask = (protocol: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const call = httpRequest({ port, headers: { ...headers, 'sec-websocket-protocol': protocol } }, resolve);
      call.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response);
      });
      call.on('error', reject);
      call.end();
    });
  const agreed = await ask(`nothing, ${tunnelProtocol}`);
  deepEqual([agreed.statusCode, agreed.headers['sec-websocket-protocol']], [101, tunnelProtocol]);
  const refused = await ask('v9.channel.k8s.io');
  equal(refused.statusCode, 400);
  refused.resume();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly socket: Duplex | undefined;
}

function upgradeToSpdy(versions: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': versions };
    const call = httpRequest({ port, method: 'POST', headers });
    call.on('upgrade', (response, socket) => resolve({ status: 101, headers: response.headers, socket }));
    call.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, socket: undefined });
    });
    call.on('error', reject);
    call.end();
  });
}

test('SPDY carries the same session once all its streams are open', async () => {
  const { headers, socket } = await upgradeToSpdy('v5.channel.k8s.io, v4.channel.k8s.io, channel.k8s.io');
  equal(headers['x-stream-protocol-version'], 'v4.channel.k8s.io');
  const client = new FakeSpdyClient(socket as Duplex);
  const ids: Record<string, number> = {};
  for (const streamtype of ['error', 'stdin', 'stdout', 'stderr']) ids[streamtype] = await client.open({ streamtype });
  client.send(ids['stdin'] ?? 0, 'spdy', true);
  await client.until(() => client.goAway !== undefined);
  const heard = (name: string): string | undefined => client.streams.get(ids[name] ?? 0)?.data.toString();
  deepEqual([heard('stdout'), heard('stderr'), heard('error')], ['SPDY', '4', outcome]);
  equal(clock.pending, 0);
  socket?.destroy();
});

test('a client that does not open its streams is dropped', async () => {
  const { socket } = await upgradeToSpdy('v4.channel.k8s.io');
  const client = new FakeSpdyClient(socket as Duplex);
  const id = await client.open({ streamtype: 'error' });
  await client.until(() => client.streams.get(id)?.replied ?? false);
  socket?.on('error', () => {});
  const closed = once(socket as Duplex, 'close');
  clock.advance(30_000);
  await closed;
});

test('a SPDY client whose protocols nobody speaks is told which there are', async () => {
  const { status, headers } = await upgradeToSpdy('v9.channel.k8s.io');
  equal(status, 403);
  match(String(headers['x-accepted-stream-protocol-versions']), /^v4\.channel\.k8s\.io, /);
});

test("a session's signal aborts when its client goes", async () => {
  const gone = Promise.withResolvers<void>();
  serve = (session) => session.gone.addEventListener('abort', () => gone.resolve());
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, ['v4.channel.k8s.io']);
  await once(socket, 'open');
  socket.terminate();
  await gone.promise;
});

test('options and sizes are parsed, and nothing else passes for them', () => {
  const options = parseRemoteOptions(new URLSearchParams('input=1&output=1&error=1&tty=1'));
  deepEqual(options, { stdin: true, stdout: true, stderr: false, tty: true });
  throws(() => parseRemoteOptions(new URLSearchParams('tty=1')), RangeError);
  const sizes = new SizeReader();
  const read = (text: string): unknown => sizes.read(Buffer.from(text));
  deepEqual(read('{"Width":80,'), []);
  deepEqual(read('"Height":24}{"Width":1,"Height":2}'), [
    { columns: 80, rows: 24 },
    { columns: 1, rows: 2 },
  ]);
  deepEqual(read('{"Width":-1,"Height":2}{"Width":70000,"Height":2}nonsense}{}'), []);
  deepEqual(read('x'.repeat(1000)), []);
  deepEqual(read('{"Width":3,"Height":4}'), [{ columns: 3, rows: 4 }]);
});
