import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../lib/log.ts';
import { connectSeqpacket, type SeqpacketConnection } from '../net/index.ts';
import { decodeZdsRequest, encodeZdsAck, encodeZdsHello, type ZdsCapability } from '../wire/index.ts';
import { ZdsServer, type ServedPod } from './zds-server.ts';

interface Fixture {
  readonly server: ZdsServer;
  readonly pods: Map<string, ServedPod>;
  readonly fd: number;
  readonly connect: (options?: {
    answer?: (text: string) => string | undefined;
    silent?: boolean;
    hello?: boolean;
    capabilities?: readonly ZdsCapability[];
  }) => Peer;
}

interface Peer {
  readonly connection: SeqpacketConnection;
  /** What the agent said, `add uid name fd?`. */
  readonly said: string[];
  readonly closed: Promise<void>;
  until(text: string): Promise<void>;
}

function open(
  t: TestContext,
  answerTimeoutMs = 5000,
  beforeSnapshot = (): Promise<void> => Promise.resolve(),
): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'zds-'));
  const fd = openSync('/proc/self/ns/net', 'r');
  const pods = new Map<string, ServedPod>();
  const path = join(folder, 'sock');
  const fixture: Fixture = {
    pods,
    fd,
    server: new ZdsServer({
      path,
      uids: () => [...pods.keys()],
      served: (uid) => pods.get(uid),
      onReady() {},
      beforeSnapshot,
      log: silentLog(),
      answerTimeoutMs,
    }),
    connect: ({ answer = () => undefined, silent = false, hello = true, capabilities = [] } = {}) => {
      const said: string[] = [];
      const waiting: { text: string; done: () => void }[] = [];
      let onClosed: () => void = () => {};
      const closed = new Promise<void>((resolve) => (onClosed = resolve));
      const connection = connectSeqpacket({
        path,
        onMessage(bytes, descriptor) {
          const request = decodeZdsRequest(bytes);
          let text: string = request.kind;
          if (request.kind !== 'snapshot-sent') text += ` ${request.uid}`;
          if (request.kind === 'add')
            text += ` ${request.pod.namespace}/${request.pod.name}/${request.pod.serviceAccount}`;
          if (descriptor !== undefined) {
            text += fstatSync(descriptor).ino === fstatSync(fd).ino ? ' +fd' : ' +wrong-fd';
            closeSync(descriptor);
          }
          said.push(text);
          if (!silent) connection.send(encodeZdsAck(answer(text)));
          for (const waiter of waiting) if (waiter.text === text) waiter.done();
        },
        onClose: () => onClosed(),
      });
      t.after(() => connection.close());
      if (hello) connection.send(encodeZdsHello(capabilities));
      return {
        connection,
        said,
        closed,
        until: (text) =>
          new Promise((resolve) => (said.includes(text) ? resolve() : waiting.push({ text, done: resolve }))),
      };
    },
  };
  fixture.server.listen();
  t.after(() => {
    fixture.server.close();
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return fixture;
}

const servedPod = (name: string, netns: number | undefined): ServedPod => ({
  pod: { name, namespace: 'demo', serviceAccount: 'sa' },
  netns,
});

test('a ztunnel gets the snapshot first, then what changes', async (t) => {
  const { server, pods, fd, connect } = open(t);
  pods.set('u1', servedPod('one', fd));
  pods.set('u2', servedPod('two', undefined));
  const peer = connect();
  await peer.until('snapshot-sent');
  deepEqual(peer.said, ['add u1 demo/one/sa +fd', 'keep u2', 'snapshot-sent']);
  pods.set('u3', servedPod('three', fd));
  await server.add('u3');
  pods.delete('u1');
  await server.del('u1');
  deepEqual(peer.said.slice(3), ['add u3 demo/three/sa +fd', 'del u1']);
});

test('a pod that comes while a snapshot is prepared is told after it, too', async (t) => {
  const asked = Promise.withResolvers<void>();
  const prepared = Promise.withResolvers<void>();
  const { server, pods, fd, connect } = open(t, 5000, () => {
    asked.resolve();
    return prepared.promise;
  });
  const peer = connect();
  await asked.promise;
  pods.set('u1', servedPod('one', fd));
  const added = server.add('u1');
  prepared.resolve();
  await added;
  deepEqual(peer.said, ['add u1 demo/one/sa +fd', 'snapshot-sent', 'add u1 demo/one/sa +fd']);
});

test('without a ztunnel an add fails at once, a del does not', async (t) => {
  const { server, pods, fd } = open(t);
  pods.set('u1', servedPod('one', fd));
  await rejects(server.add('u1'), { code: 'cni.no-ztunnel', blame: 'upstream' });
  await server.del('u1');
});

test('an add that ztunnel refuses fails with its words, and the next one goes on', async (t) => {
  const { server, pods, fd, connect } = open(t);
  const peer = connect({ answer: (text) => (text.includes('bad') ? 'no such luck' : undefined) });
  await peer.until('snapshot-sent');
  pods.set('u1', servedPod('bad', fd));
  pods.set('u2', servedPod('good', fd));
  const [bad, good] = await Promise.allSettled([server.add('u1'), server.add('u2')]);
  equal(bad.status, 'rejected');
  match(String(bad.status === 'rejected' ? bad.reason : ''), /no such luck/);
  equal(good.status, 'fulfilled');
});

test('a pod that ztunnel refuses in the snapshot holds up no other', async (t) => {
  const fixture = open(t);
  fixture.pods.set('u1', servedPod('bad', fixture.fd));
  fixture.pods.set('u2', servedPod('good', fixture.fd));
  const peer = fixture.connect({ answer: (text) => (text.includes('bad') ? 'no' : undefined) });
  await peer.until('snapshot-sent');
  deepEqual(peer.said, ['add u1 demo/bad/sa +fd', 'add u2 demo/good/sa +fd', 'snapshot-sent']);
});

test('the newest ztunnel gets the adds, all get the dels', async (t) => {
  const { server, pods, fd, connect } = open(t);
  const old = connect();
  await old.until('snapshot-sent');
  const young = connect();
  await young.until('snapshot-sent');
  pods.set('u1', servedPod('one', fd));
  await server.add('u1');
  pods.delete('u1');
  await server.del('u1');
  deepEqual(old.said, ['snapshot-sent', 'del u1']);
  deepEqual(young.said, ['snapshot-sent', 'add u1 demo/one/sa +fd', 'del u1']);
  young.connection.close();
  await young.closed;
});

test('a ztunnel that does not answer is given up, with what it was asked', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { server, pods, fd, connect } = open(t, 5000);
  const peer = connect({ silent: true });
  await peer.until('snapshot-sent');
  pods.set('u1', servedPod('one', fd));
  const added = server.add('u1');
  t.mock.timers.tick(5000);
  await rejects(added, { code: 'cni.no-ztunnel' });
  await peer.closed;
  equal(server.connected, 0);
});

test('a peer that says no hello, or nonsense, is given up', async (t) => {
  const { connect } = open(t, 50);
  const mute = connect({ hello: false });
  await mute.closed;
  const odd = connect({ hello: false });
  odd.connection.send(Buffer.from('nonsense'));
  await odd.closed;
  deepEqual([...mute.said, ...odd.said], []);
});

test('a peer that sends a descriptor, or answers what was not asked, is given up', async (t) => {
  const { fd, connect } = open(t);
  const first = connect();
  await first.until('snapshot-sent');
  first.connection.send(encodeZdsAck(), fd);
  await first.closed;
  const second = connect();
  await second.until('snapshot-sent');
  second.connection.send(encodeZdsAck());
  second.connection.send(encodeZdsAck());
  await second.closed;
});

test('a pod that left before its turn in the snapshot is not named', async (t) => {
  const { pods, fd, connect } = open(t);
  pods.set('u1', servedPod('one', fd));
  pods.set('u2', servedPod('two', fd));
  const peer = connect({
    answer: (text) => {
      if (text.startsWith('add u1')) pods.delete('u2');
      return undefined;
    },
  });
  await peer.until('snapshot-sent');
  deepEqual(peer.said, ['add u1 demo/one/sa +fd', 'snapshot-sent']);
});

test('a pod that terminates is told to those who understand it, in the snapshot and later', async (t) => {
  const { server, pods, fd, connect } = open(t);
  pods.set('u1', { ...servedPod('one', fd), terminating: true });
  pods.set('u2', servedPod('two', fd));
  const plain = connect();
  await plain.until('snapshot-sent');
  const able = connect({ capabilities: ['drain'] });
  await able.until('snapshot-sent');
  deepEqual(plain.said, ['add u1 demo/one/sa +fd', 'add u2 demo/two/sa +fd', 'snapshot-sent']);
  deepEqual(able.said, ['add u1 demo/one/sa +fd', 'drain u1', 'add u2 demo/two/sa +fd', 'snapshot-sent']);
  await server.drain('u2');
  equal(able.said.at(-1), 'drain u2');
  equal(plain.said.at(-1), 'snapshot-sent');
});

test('when the latest ztunnel is gone, the one before it learns of the pods that came meanwhile', async (t) => {
  const { server, pods, fd, connect } = open(t);
  const older = connect();
  await older.until('snapshot-sent');
  const newer = connect();
  await newer.until('snapshot-sent');
  pods.set('u1', servedPod('one', fd));
  await server.add('u1');
  deepEqual(older.said, ['snapshot-sent']);
  newer.connection.close();
  await older.until('add u1 demo/one/sa +fd');
});

test('the one before it learns of them also while a peer is there that has not said hello', async (t) => {
  const { server, pods, fd, connect } = open(t);
  const older = connect();
  await older.until('snapshot-sent');
  const newer = connect();
  await newer.until('snapshot-sent');
  connect({ hello: false });
  pods.set('u1', servedPod('one', fd));
  // Each answer takes a look at all sockets: the peer is accepted by then.
  for (let i = 0; i < 3; i++) await server.add('u1');
  newer.connection.close();
  await older.until('add u1 demo/one/sa +fd');
});

test('names that leave no room for the whole search list are told all the same', async (t) => {
  const { pods, fd, connect } = open(t);
  const search = Array.from({ length: 6 }, (_, i) => `${'s'.repeat(100)}.example${i}`);
  const name = 'n'.repeat(253);
  const resolver = { nameservers: ['10.96.0.10'], search, ndots: 5 };
  const pod = { name, namespace: 'n'.repeat(63), serviceAccount: name, mark: 7, resolver };
  pods.set('u'.repeat(36), { pod, terminating: false, netns: fd });
  const peer = connect({ capabilities: ['resolver', 'mark'] });
  const { said } = peer;
  await peer.until('snapshot-sent');
  ok(
    said.some((text) => text.startsWith('add ') && text.includes(name)),
    said.join('\n'),
  );
});
