import assert from 'node:assert/strict';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { closeDescriptor, listenSeqpacket, type SeqpacketConnection } from '../../net/index.ts';
import { decodeZdsAck, decodeZdsHello, encodeZdsRequest, type ZdsRequest } from '../../wire/index.ts';
import { runZdsClient, type ZdsHandler } from './zds-client.ts';

/** A node agent that says what the test says, and collects the answers. */
interface Agent {
  /** Answers with the error of the acknowledgement, or "closed". */
  ask(request: ZdsRequest, descriptor?: number): Promise<string>;
  reconnected(): Promise<void>;
  hangUp(): void;
  /** The client gave up for good. */
  readonly done: Promise<void>;
  readonly events: string[];
  close(): Promise<void>;
}

async function startAgent(
  serve: ZdsHandler['serve'] = async () => {},
  stopFollowing: AbortSignal = new AbortController().signal,
): Promise<Agent> {
  const folder = mkdtempSync(join(tmpdir(), 'zds-'));
  const events: string[] = [];
  const stop = new AbortController();
  let connection: SeqpacketConnection | undefined;
  let answer: (text: string) => void = () => {};
  let greeted: () => void = () => {};
  const nextHello = (): Promise<void> => new Promise((resolve) => (greeted = resolve));
  const listener = listenSeqpacket({
    path: join(folder, 's'),
    onConnection(opened) {
      let hello = false;
      connection = opened;
      return {
        onMessage(bytes) {
          if (hello) return answer(decodeZdsAck(bytes) ?? 'ok');
          decodeZdsHello(bytes);
          hello = true;
          greeted();
        },
        onClose: () => answer('closed'),
      };
    },
  });
  const handler: ZdsHandler = {
    async serve(pod, netns, inSnapshot) {
      closeDescriptor(netns);
      const name = `${pod.uid} ${pod.namespace}/${pod.name}/${pod.serviceAccount}`;
      events.push(`serve ${name}${inSnapshot ? ' of the snapshot' : ''}`);
      await serve(pod, netns, inSnapshot);
    },
    remove: (uid) => void events.push(`remove ${uid}`),
    drainPod: (uid) => void events.push(`drain ${uid}`),
    retainOnly: (uids) => void events.push(`retain ${[...uids].join(',')}`),
    ready: (isReady) => void events.push(`ready ${isReady}`),
  };
  const connected = nextHello();
  const done = runZdsClient({ path: join(folder, 's'), handler, log: silentLog(), signal: stop.signal, stopFollowing });
  await connected;
  return {
    events,
    reconnected: nextHello,
    hangUp: () => connection?.close(),
    done,
    ask(request, descriptor) {
      return new Promise((resolve) => {
        answer = resolve;
        connection?.send(encodeZdsRequest(request), descriptor);
        if (descriptor !== undefined) closeDescriptor(descriptor);
      });
    },
    async close() {
      stop.abort();
      await done;
      listener.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const add = (uid: string): ZdsRequest => ({
  kind: 'add',
  uid,
  pod: { name: 'web', namespace: 'shop', serviceAccount: 'sa' },
});
const descriptor = (): number => openSync('/dev/null', 'r');

test('pods of the snapshot are served, others dropped, and later ones come and go', async () => {
  const agent = await startAgent();
  assert.equal(await agent.ask(add('a'), descriptor()), 'ok');
  assert.equal(await agent.ask({ kind: 'keep', uid: 'b' }), 'ok');
  assert.equal(await agent.ask({ kind: 'snapshot-sent' }), 'ok');
  assert.equal(await agent.ask(add('c'), descriptor()), 'ok');
  assert.equal(await agent.ask({ kind: 'drain', uid: 'a' }), 'ok');
  assert.equal(await agent.ask({ kind: 'del', uid: 'a' }), 'ok');
  assert.deepEqual(agent.events, [
    'serve a shop/web/sa of the snapshot',
    'retain a,b',
    'ready true',
    'serve c shop/web/sa',
    'drain a',
    'remove a',
  ]);
  await agent.close();
});

test('a pod that cannot be served is answered with the reason, and the stream goes on', async () => {
  const agent = await startAgent(() => Promise.reject(new Error('port 15001 is taken')));
  assert.equal(await agent.ask(add('a'), descriptor()), 'port 15001 is taken');
  assert.equal(await agent.ask({ kind: 'snapshot-sent' }), 'ok');
  await agent.close();
});

test('one who drains hears of pods until the connection ends, and opens no other', async () => {
  const stopFollowing = new AbortController();
  const agent = await startAgent(undefined, stopFollowing.signal);
  assert.equal(await agent.ask({ kind: 'snapshot-sent' }), 'ok');
  stopFollowing.abort();
  assert.equal(await agent.ask({ kind: 'del', uid: 'a' }), 'ok');
  agent.hangUp();
  await agent.done;
  assert.equal(agent.events.at(-2), 'remove a');
  await agent.close();
});

const breaches: [string, ZdsRequest[], boolean][] = [
  ['a pod without its namespace', [add('a')], false],
  ['a descriptor on another message', [{ kind: 'keep', uid: 'a' }], true],
  ['a second snapshot', [{ kind: 'snapshot-sent' }, { kind: 'snapshot-sent' }], false],
  ['a pod kept after the snapshot', [{ kind: 'snapshot-sent' }, { kind: 'keep', uid: 'a' }], false],
];
for (const [name, requests, withDescriptor] of breaches) {
  test(`${name} ends the connection, which is then opened again`, async () => {
    const agent = await startAgent();
    const again = agent.reconnected();
    const answers: string[] = [];
    for (const request of requests) answers.push(await agent.ask(request, withDescriptor ? descriptor() : undefined));
    assert.equal(answers.at(-1), 'closed');
    await again;
    assert.equal(await agent.ask({ kind: 'snapshot-sent' }), 'ok');
    await agent.close();
  });
}
