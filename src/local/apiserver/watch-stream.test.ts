import { deepEqual, equal, ok } from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { EventEmitter } from 'node:events';
import { test, type TestContext } from 'node:test';
import { kinds, type KindInfo } from '../../api/index.ts';
import { kindInfo } from '../../api/serving.ts';
import type { Clock } from '../../lib/clock.ts';
import { ObjectStore } from './store.ts';
import { startWatch, type WatchOptions } from './watch-stream.ts';

const kind = kindInfo(kinds.ConfigMap) as KindInfo;

/** A watch that resumes after the first write. */
function resuming(store: ObjectStore, clock: Clock): WatchOptions {
  return {
    kind,
    store,
    clock,
    selects: () => true,
    fromRevision: 1,
    form: 'object',
    include: 'Metadata',
    bookmarks: false,
    markInitialEnd: false,
    timeoutMs: 300_000,
  };
}

/** A response whose reader reads only when told to. */
class FakeResponse extends EventEmitter {
  lines: {
    type: string;
    object: { metadata: { name?: string; resourceVersion?: string; annotations?: Record<string, string> } };
  }[] = [];
  writableLength = 0;
  writableEnded = false;
  destroyed = false;
  reads = true;
  writeHead(): void {}
  flushHeaders(): void {}
  write(text: string | Buffer): void {
    if (!this.reads) this.writableLength += text.length;
    this.lines.push(JSON.parse(String(text)) as FakeResponse['lines'][number]);
  }
  end(): void {
    this.writableEnded = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

class FakeClock implements Clock {
  #now = 0;
  #timers: { atMs: number; run: () => void }[] = [];
  nowMs(): number {
    return this.#now;
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.atMs <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.#now);
    for (const timer of due) timer.run();
  }
  get pending(): number {
    return this.#timers.length;
  }
}

async function open(t: TestContext, changes: Partial<WatchOptions> = {}) {
  const store = ObjectStore.open({ path: ':memory:' });
  t.after(() => store.close());
  const put = (name: string, data = '') =>
    store.write((tx) =>
      tx.put('configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'n' },
        data: { data },
      } as never),
    );
  await put('first');
  const response = new FakeResponse();
  const clock = new FakeClock();
  let ends = 0;
  const stop = startWatch(
    response as unknown as ServerResponse,
    {
      kind,
      store,
      clock,
      selects: () => true,
      fromRevision: undefined,
      form: 'object',
      include: 'Metadata',
      bookmarks: false,
      markInitialEnd: false,
      timeoutMs: 300_000,
      ...changes,
    },
    () => ends++,
  );
  return { store, put, response, clock, stop, ends: () => ends };
}

test('a client that does not read is dropped, others go on', async (t) => {
  const { put, response, ends, clock } = await open(t);
  response.reads = false;
  for (let i = 0; i < 12 && !response.destroyed; i++) await put(`big-${i}`, 'x'.repeat(1024 * 1024));
  equal(response.destroyed, true);
  equal(ends(), 1);
  const sent = response.lines.length;
  ok(sent < 12);
  await put('later');
  equal(response.lines.length, sent);
  equal(clock.pending, 0);
});

test('what was missed is sent at the pace of the client, without a gap', async (t) => {
  const { store, put, stop } = await open(t);
  stop();
  for (let i = 0; i < 5; i++) await put(`big-${i}`, 'x'.repeat(600 * 1024));
  const response = new FakeResponse();
  response.reads = false;
  const clock = new FakeClock();
  const options = resuming(store, clock);
  const end = startWatch(response as unknown as ServerResponse, options, () => {});
  equal(response.lines.length, 2);
  await put('meanwhile');
  response.writableLength = 0;
  response.emit('drain');
  response.writableLength = 0;
  response.emit('drain');
  response.writableLength = 0;
  response.emit('drain');
  await put('later');
  deepEqual(
    response.lines.map(({ object }) => object.metadata.name),
    ['big-0', 'big-1', 'big-2', 'big-3', 'big-4', 'meanwhile', 'later'],
  );
  end();
  equal(clock.pending, 0);
});

test('a client that reads nothing of what it missed is dropped after a minute', async (t) => {
  const { put, store, stop } = await open(t);
  stop();
  for (let i = 0; i < 3; i++) await put(`big-${i}`, 'x'.repeat(600 * 1024));
  const response = new FakeResponse();
  response.reads = false;
  const clock = new FakeClock();
  const options = resuming(store, clock);
  startWatch(response as unknown as ServerResponse, options, () => {});
  clock.advance(60_000);
  equal(response.destroyed, true);
  equal(clock.pending, 0);
});

test('bookmarks carry the revision of events of other kinds too', async (t) => {
  const { store, response, clock, stop } = await open(t, { bookmarks: true });
  await store.write((tx) => tx.put('others', { metadata: { name: 'x' } }));
  clock.advance(30_000);
  deepEqual(
    response.lines.map(({ type, object }) => `${type} ${object.metadata.resourceVersion}`),
    ['ADDED 1', 'BOOKMARK 2'],
  );
  stop();
  equal(clock.pending, 0);
});

test('the end of the initial events is marked when asked for', async (t) => {
  const { response, stop } = await open(t, { bookmarks: true, markInitialEnd: true });
  deepEqual(response.lines[1]?.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
  stop();
});

test('a watch ends by itself after its time', async (t) => {
  const { response, clock, ends } = await open(t, { timeoutMs: 1000 });
  clock.advance(1000);
  equal(response.writableEnded, true);
  equal(ends(), 1);
});

test('a revision from the future is expired: it is from another store', async (t) => {
  const { response } = await open(t, { fromRevision: 99 });
  deepEqual(
    response.lines.map(({ type, object }) => [type, (object as { code?: number }).code]),
    [['ERROR', 410]],
  );
  equal(response.writableEnded, true);
});
