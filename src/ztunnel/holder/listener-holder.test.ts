import assert from 'node:assert/strict';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import {
  adoptListenSocket,
  closeDescriptor,
  connectSeqpacket,
  duplicateDescriptor,
  openListenSocket,
  type Listener,
} from '../../net/index.ts';
import { encodeHolderPacket, type HolderRequest } from '../../wire/listener-holder.ts';
import { HolderClient } from './holder-client.ts';
import { startListenerHolder, type ListenerHolder } from './listener-holder.ts';

const name = { pod: 'p', netns: '4:1', listener: 'hbone' };
let folder: string;
let path: string;
let clock: FakeClock;
let holder: ListenerHolder;
const clients: HolderClient[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holder-'));
  path = join(folder, 's');
  clock = createFakeClock();
  holder = startListenerHolder({ path, log: silentLog(), clock });
});

afterEach(async () => {
  holder.close();
  for (const client of clients.splice(0)) await client.close();
  rmSync(folder, { recursive: true });
});

function openClient(): HolderClient {
  const client = new HolderClient({ path, clock: systemClock, log: silentLog() });
  clients.push(client);
  return client;
}

/** What the node agent, or somebody else, says in one packet; resolves when the holder answered or hung up. */
function say(request: HolderRequest | Uint8Array, fd?: number): Promise<'answered' | 'closed'> {
  return new Promise((resolve) => {
    const connection = connectSeqpacket({
      path,
      onMessage(bytes) {
        if (!Buffer.from(bytes).includes('answer')) return;
        resolve('answered');
        connection.close();
      },
      onClose: () => resolve('closed'),
    });
    connection.send(request instanceof Uint8Array ? request : encodeHolderPacket(request), fd);
  });
}

const foreign = (present: boolean): Promise<string> => say({ kind: 'foreign', id: 1, present });

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    // Half a minute of turns: on a loaded machine another process may have to come first.
    assert.ok(i < 5_000_000, `never came true: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function listening(): { fd: number; port: Promise<number>; listener: Promise<Listener>; accepted: () => number } {
  const fd = openListenSocket({ host: '127.0.0.1', port: 0 });
  let accepted = 0;
  const listener = adoptListenSocket({
    fd: duplicateDescriptor(fd),
    onConnection({ socket }) {
      accepted++;
      socket.end();
    },
  });
  return { fd, listener, port: listener.then(({ address }) => address.port), accepted: () => accepted };
}

test('a connection that comes while nobody accepts is served by whoever takes the socket', async () => {
  await foreign(false);
  const old = listening();
  const first = openClient();
  first.hold('p', [{ name, fd: old.fd }]);
  await until(() => holder.size === 1);
  const port = await old.port;
  // Killed: its descriptors close, and its connection to the holder.
  await (await old.listener).close();
  closeDescriptor(old.fd);
  await first.close();
  const waiting = connect(port, '127.0.0.1');
  await new Promise((resolve) => waiting.once('connect', resolve));

  const next = openClient();
  assert.deepEqual(await next.look(name), { held: true, accepted: false });
  const fd = await next.take(name);
  assert.ok(fd !== undefined);
  const served = new Promise<void>((resolve) => waiting.once('end', resolve));
  waiting.resume();
  const listener = await adoptListenSocket({ fd, onConnection: ({ socket }) => void socket.end() });
  await served;
  await listener.close();
  waiting.destroy();
});

test('nothing is held until a node agent says that nobody else listens, and everything is dropped when somebody may', async () => {
  const { fd, listener } = listening();
  const client = openClient();
  client.hold('p', [{ name, fd }]);
  assert.deepEqual(await client.look(name), { held: false, accepted: false });
  await foreign(false);
  await until(() => holder.size === 1);
  await foreign(true);
  assert.equal(holder.size, 0);
  assert.equal(await client.take(name), undefined);
  await foreign(false);
  await until(() => holder.size === 1);
  await (await listener).close();
  closeDescriptor(fd);
});

test('a listener that nobody comes for is closed: clients are refused, not kept waiting', async () => {
  await foreign(false);
  const { fd, listener, port } = listening();
  const client = openClient();
  client.hold('p', [{ name, fd }]);
  await until(() => holder.size === 1);
  const at = await port;
  await (await listener).close();
  closeDescriptor(fd);
  await client.close();
  await until(() => clock.pending === 1);
  clock.advance(10_000);
  assert.equal(holder.size, 0);
  const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) => {
    connect(at, '127.0.0.1').once('error', (failure) => resolve([failure]));
  });
  assert.equal(error.code, 'ECONNREFUSED');
});

test('a pod that left is not held, whoever says so', async () => {
  await foreign(false);
  const { fd, listener } = listening();
  const client = openClient();
  client.hold('p', [{ name, fd }]);
  await until(() => holder.size === 1);
  client.release('p');
  await until(() => holder.size === 0);
  client.hold('p', [{ name, fd }]);
  await until(() => holder.size === 1);
  await say({ kind: 'drop', id: 1, pod: 'p' });
  assert.equal(holder.size, 0);
  await (await listener).close();
  closeDescriptor(fd);
});

test('a holder that starts again is given everything again', async () => {
  await foreign(false);
  const { fd, listener } = listening();
  const client = openClient();
  client.hold('p', [{ name, fd }]);
  await until(() => holder.size === 1);
  holder.close();
  assert.deepEqual(await client.look(name), { held: false, accepted: false });
  holder = startListenerHolder({ path, log: silentLog(), clock });
  await foreign(false);
  await until(() => holder.size === 1);
  await (await listener).close();
  closeDescriptor(fd);
});

test('what is no request, no listening socket or not allowed to be here ends the connection', async () => {
  await foreign(false);
  const file = openSync('/dev/null', 'r');
  const { fd, listener } = listening();
  assert.equal(await say(Buffer.from('nonsense')), 'closed');
  assert.equal(await say(Buffer.from('{"kind":"other","id":1}')), 'closed');
  assert.equal(await say({ kind: 'hold', id: 1, socket: name }), 'closed');
  assert.equal(await say({ kind: 'hold', id: 1, socket: name }, file), 'closed');
  assert.equal(await say({ kind: 'take', id: 1, socket: name }, fd), 'closed');
  assert.equal(await say({ kind: 'hold', id: 1, socket: name }, fd), 'answered');
  closeDescriptor(file);
  await (await listener).close();
  closeDescriptor(fd);
});

test('many sockets at once are held and taken', async () => {
  await foreign(false);
  const client = openClient();
  const fds = Array.from({ length: 150 }, () => openListenSocket({ host: '127.0.0.1', port: 0 }));
  fds.forEach((fd, i) => client.hold(`p${i}`, [{ name: { ...name, pod: `p${i}` }, fd }]));
  await until(() => holder.size === 150);
  const taken = await Promise.all(fds.map((_, i) => client.take({ ...name, pod: `p${i}` })));
  assert.ok(taken.every((fd) => fd !== undefined));
  for (const fd of [...fds, ...taken]) closeDescriptor(fd as number);
});
