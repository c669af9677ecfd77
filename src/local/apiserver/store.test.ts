import { deepEqual, equal, rejects, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { KubeObject } from '../../api/index.ts';
import { ObjectStore, type StoreEvent } from './store.ts';

const object = (name: string, data = ''): KubeObject & { data: string } => ({
  metadata: { name, namespace: 'n' },
  data,
});
const open = (t: TestContext, eventCapacity = 100): ObjectStore => {
  const store = ObjectStore.open({ path: ':memory:', eventCapacity });
  t.after(() => store.close());
  return store;
};

test('a write gives a growing revision and is read back', async (t) => {
  const store = open(t);
  const first = await store.write((tx) => tx.put('things', object('a')));
  const second = await store.write((tx) => tx.put('things', object('b')));
  equal(first.object.metadata.resourceVersion, '1');
  equal(second.object.metadata.resourceVersion, '2');
  equal(store.revision, 2);
  deepEqual(
    store.list('things').map((stored) => stored.object.metadata.name),
    ['a', 'b'],
  );
});

test('a write is invisible until it is durable, but later plans see it', async (t) => {
  const store = open(t);
  const events: StoreEvent[] = [];
  store.watch('things', 0, (event) => events.push(event));
  const first = store.write((tx) => tx.put('things', object('a', '1')));
  equal(store.get('things', 'n', 'a'), undefined);
  const second = store.write((tx) => tx.get('things', 'n', 'a')?.object.metadata.resourceVersion);
  deepEqual(events, []);
  equal(await second, '1');
  await first;
  equal(events.length, 1);
  equal(store.get('things', 'n', 'a')?.revision, 1);
});

test('a plan that throws leaves nothing behind', async (t) => {
  const store = open(t);
  await rejects(
    store.write((tx) => {
      tx.put('things', object('a'));
      throw new Error('no');
    }),
    /no/,
  );
  equal(store.list('things').length, 0);
  equal((await store.write((tx) => tx.put('things', object('b')))).revision, 1);
});

test('a dry run changes nothing', async (t) => {
  const store = open(t);
  equal(store.dryRun((tx) => tx.put('things', object('a'))).revision, 1);
  equal(store.list('things').length, 0);
  equal((await store.write((tx) => tx.put('things', object('b')))).revision, 1);
});

test('a watch replays from its revision, then follows', async (t) => {
  const store = open(t);
  await store.write((tx) => tx.put('things', object('a')));
  await store.write((tx) => tx.put('others', object('x')));
  await store.write((tx) => tx.put('things', object('a', 'changed')));
  const seen: string[] = [];
  const stop = store.watch('things', 1, (event) => seen.push(`${event.kind} ${event.revision}`));
  await store.write((tx) => tx.remove('things', 'n', 'a'));
  stop();
  await store.write((tx) => tx.put('things', object('a')));
  deepEqual(seen, ['modified 3', 'deleted 4']);
});

test('a watch from before the event log is told that its revision expired', async (t) => {
  const store = open(t, 4);
  for (let i = 0; i < 10; i++) await store.write((tx) => tx.put('things', object('a', String(i))));
  throws(() => store.watch('things', 1, () => {}), { code: 'apiserver.expired' });
  const seen: number[] = [];
  store.watch('things', 9, (event) => seen.push(event.revision));
  deepEqual(seen, [10]);
});

test('objects and the revision survive, deletions too', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'api.db');
  const store = ObjectStore.open({ path });
  await store.write((tx) => [tx.put('things', object('a', 'kept')), tx.put('things', object('b'))]);
  await store.write((tx) => tx.remove('things', 'n', 'b'));
  store.close();

  const reopened = ObjectStore.open({ path });
  t.after(() => reopened.close());
  equal(reopened.revision, 3);
  deepEqual(
    reopened.list('things').map((stored) => stored.json),
    ['{"metadata":{"name":"a","namespace":"n","resourceVersion":"1"},"data":"kept"}'],
  );
  const seen: string[] = [];
  reopened.watch('things', 1, (event) => seen.push(`${event.kind} ${event.revision} ${event.previous?.revision}`));
  deepEqual(seen, ['added 2 undefined', 'deleted 3 2']);
});

test('watches and earlier lists go on after a restart, also when the state before them left the window', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'api.db');
  const store = ObjectStore.open({ path, eventCapacity: 8 });
  await store.write((tx) => tx.put('things', object('old', 'first')));
  for (let i = 0; i < 20; i++) await store.write((tx) => tx.put('things', object('busy', String(i))));
  await store.write((tx) => tx.put('things', object('old', 'second')));
  const expected = store.listAt('things', undefined, 20).map(({ json }) => json);
  store.close();

  const reopened = ObjectStore.open({ path, eventCapacity: 8 });
  t.after(() => reopened.close());
  const seen: unknown[] = [];
  reopened.watch('things', 21, ({ kind, previous }) =>
    seen.push([kind, (previous?.object as { data?: string } | undefined)?.data]),
  );
  deepEqual(seen, [['modified', 'first']]);
  deepEqual(
    reopened.listAt('things', undefined, 20).map(({ json }) => json),
    expected,
  );
  throws(() => reopened.watch('things', 2, () => {}), { code: 'apiserver.expired' });
  throws(() => reopened.listAt('things', undefined, 2), { code: 'apiserver.expired' });
});

test('a list of an earlier revision is what it was', async (t) => {
  const store = open(t);
  const states: string[][] = [[]];
  const write = async (plan: Parameters<typeof store.write>[0]): Promise<void> => {
    await store.write(plan);
    states[store.revision] = store.list('things').map(({ json }) => json);
  };
  await write((tx) => tx.put('things', object('a')));
  await write((tx) => tx.put('things', object('b')));
  await write((tx) => tx.put('others', object('x')));
  await write((tx) => tx.put('things', object('a', 'changed')));
  await write((tx) => tx.remove('things', 'n', 'b'));
  await write((tx) => tx.put('things', object('b', 'again')));
  for (let revision = 0; revision <= store.revision; revision++) {
    const listed = store.listAt('things', undefined, revision).map(({ json }) => json);
    deepEqual(listed, states[revision], `revision ${revision}`);
  }
});
