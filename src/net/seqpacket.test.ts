import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { connectSeqpacket, listenSeqpacket, type SeqpacketConnection } from './index.ts';

interface Received {
  bytes: Uint8Array;
  descriptor: number | undefined;
}

/** One end: what came, and how it ended. */
function endpoint(): {
  handlers: { onMessage(bytes: Uint8Array, descriptor: number | undefined): void; onClose(error?: Error): void };
  next(): Promise<Received>;
  closed: Promise<Error | undefined>;
} {
  const inbox: Received[] = [];
  const waiting: ((message: Received) => void)[] = [];
  let onClosed: (error: Error | undefined) => void = () => {};
  return {
    handlers: {
      onMessage(bytes, descriptor) {
        const message = { bytes, descriptor };
        const waiter = waiting.shift();
        if (waiter) waiter(message);
        else inbox.push(message);
      },
      onClose: (error) => onClosed(error),
    },
    next: () =>
      new Promise((resolve) => (inbox.length > 0 ? resolve(inbox.shift() as Received) : waiting.push(resolve))),
    closed: new Promise((resolve) => (onClosed = resolve)),
  };
}

async function withPair(
  use: (ends: {
    client: SeqpacketConnection;
    server: SeqpacketConnection;
    atClient: ReturnType<typeof endpoint>;
    atServer: ReturnType<typeof endpoint>;
  }) => Promise<void>,
  maxBytes = 1024,
  folderName = 'seq',
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `${folderName}-`));
  const path = join(folder, 'socket');
  const atServer = endpoint();
  const atClient = endpoint();
  let onAccepted: (connection: SeqpacketConnection) => void = () => {};
  const accepted = new Promise<SeqpacketConnection>((resolve) => (onAccepted = resolve));
  const listener = listenSeqpacket({
    path,
    onConnection(connection) {
      onAccepted(connection);
      return atServer.handlers;
    },
  });
  const client = connectSeqpacket({ path, maxBytes, ...atClient.handlers });
  const server = await accepted;
  try {
    await use({ client, server, atClient, atServer });
  } finally {
    client.close();
    server.close();
    listener.close();
    deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  }
}

test('packets keep their bounds both ways', () =>
  withPair(async ({ client, server, atClient, atServer }) => {
    client.send(Buffer.from('one'));
    client.send(new Uint8Array(1024).fill(7));
    equal(Buffer.from((await atServer.next()).bytes).toString(), 'one');
    equal((await atServer.next()).bytes.length, 1024);
    server.send(Buffer.from('two'));
    equal(Buffer.from((await atClient.next()).bytes).toString(), 'two');
  }));

test('a descriptor arrives as another one of the same file', () =>
  withPair(async ({ client, atServer }) => {
    const fd = openSync('/proc/self/ns/net', 'r');
    client.send(Buffer.from('here'), fd);
    const { descriptor } = await atServer.next();
    ok(descriptor !== undefined && descriptor !== fd);
    equal(fstatSync(descriptor).ino, fstatSync(fd).ino);
    closeSync(descriptor);
    closeSync(fd);
  }));

test('the peer hears of a close, once', () =>
  withPair(async ({ client, atClient, atServer }) => {
    client.close();
    client.close();
    equal(await atServer.closed, undefined);
    equal(await atClient.closed, undefined);
    throws(() => client.send(Buffer.from('x')), { code: 'net.closed' });
  }));

test('a packet over the limit closes the connection with an error', () =>
  withPair(async ({ client, atServer }) => {
    client.send(new Uint8Array(1025));
    match(String(await atServer.closed), /truncated/);
  }, 4096));

/** A peer of another make: one packet with so many descriptors of a file of its own. */
const sendMany = `import socket, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
peer.connect(sys.argv[1])
file = open(sys.argv[1] + ".sent", "w")
socket.send_fds(peer, [b"x"], [file.fileno()] * int(sys.argv[2]))
peer.recv(1)`;

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // It was the one that the folder was read by.
    return undefined;
  }
}

test(
  'a packet with more than one descriptor closes the connection, and none of them stays open',
  { skip: spawnSync('python3', ['-c', 'import socket; socket.send_fds']).status !== 0 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'seq-'));
    const path = join(folder, 'socket');
    for (const count of [2, 16, 17, 253]) {
      const atServer = endpoint();
      const listener = listenSeqpacket({ path, onConnection: () => atServer.handlers });
      const peer = spawn('python3', ['-c', sendMany, path, String(count)], { stdio: ['ignore', 'ignore', 'inherit'] });
      match(String(await atServer.closed), /several descriptors|truncated/, `${count} descriptors`);
      listener.close();
      await once(peer, 'exit');
      const open = readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === `${path}.sent`);
      deepEqual(open, [], `of ${count} descriptors`);
    }
    rmSync(folder, { recursive: true });
  },
);

test('a packet over the own limit is refused before it is sent', () =>
  withPair(async ({ client }) => {
    throws(() => client.send(new Uint8Array(1025)), { code: 'net.packet-too-long' });
  }));

test('a long socket path works', () =>
  withPair(
    async ({ client, atServer }) => {
      client.send(Buffer.from('x'));
      await atServer.next();
    },
    1024,
    'x'.repeat(120),
  ));

test('only the own user may connect', () => {
  const folder = mkdtempSync(join(tmpdir(), 'seq-'));
  const path = join(folder, 'socket');
  const listener = listenSeqpacket({ path, onConnection: () => endpoint().handlers });
  equal(statSync(path).mode & 0o777, 0o600);
  listener.close();
  rmSync(folder, { recursive: true });
});

test('connecting to nobody throws', () => {
  throws(() => connectSeqpacket({ path: '/tmp/nobody-listens-here', onMessage() {}, onClose() {} }), {
    code: 'net.enoent',
  });
});

test('a listener without descriptors tells of it once, and accepts when there are some again', () => {
  // In a process of its own, which may open few.
  const script = `
    import { equal } from 'node:assert/strict';
    import { closeSync, openSync } from 'node:fs';
    import { connectSeqpacket, listenSeqpacket } from '${new URL('./seqpacket.ts', import.meta.url)}';
    const timers = [];
    globalThis.setTimeout = (run) => void timers.push(run);
    const failed = Promise.withResolvers();
    const accepted = Promise.withResolvers();
    let failures = 0;
    const handlers = { onMessage() {}, onClose() {} };
    const listener = listenSeqpacket({
      path: process.argv[1],
      onConnection: () => (accepted.resolve(), handlers),
      onError: (error) => (failures++, failed.resolve(error)),
    });
    const client = connectSeqpacket({ path: process.argv[1], ...handlers });
    const others = [];
    try { for (;;) others.push(openSync('/dev/null')); } catch {}
    equal((await failed.promise).code, 'net.emfile');
    for (let i = 0; i < 1000; i++) await new Promise((resolve) => setImmediate(resolve));
    equal(failures, 1);
    others.forEach((fd) => closeSync(fd));
    timers.shift()();
    await accepted.promise;
    process.exit(0);
  `;
  const path = join(mkdtempSync(join(tmpdir(), 'seqpacket-')), 's');
  const command = 'ulimit -n 64 && exec "$0" --input-type=module -e "$1" "$2"';
  execFileSync('sh', ['-c', command, process.execPath, script, path]);
  rmSync(dirname(path), { recursive: true });
});

test('who closes late leaves the path to whoever listens there by then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'seq-'));
  const path = join(folder, 'socket');
  const { handlers } = endpoint();
  const before = listenSeqpacket({ path, onConnection: () => handlers });
  const accepted = Promise.withResolvers<void>();
  const after = listenSeqpacket({ path, onConnection: () => (accepted.resolve(), handlers) });
  before.close();
  const client = connectSeqpacket({ path, ...handlers });
  await accepted.promise;
  client.close();
  after.close();
  deepEqual(readdirSync(folder), []);
  rmSync(folder, { recursive: true });
});
