import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import type { KindRef, KubeObject } from '../api/index.ts';
import { silentLog } from '../lib/log.ts';
import { fakeObject, openFakeApi, sendJson, sendStatus } from './fake-api.ts';
import { openKubeClient } from './http-client.ts';
import { startInformer, type Informer } from './informer.ts';

const configMaps: KindRef = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };

/** An informer against scripted lists and watches; `events` are what its handlers were told. */
async function withInformer(
  run: (world: {
    list: { version: string; items: KubeObject[] };
    nextWatch: () => Promise<{ url: string; response: ServerResponse; send: (type: string, object: unknown) => void }>;
    informer: Informer<KubeObject>;
    told: (count: number) => Promise<string[]>;
    refuseNext: (code: number) => void;
  }) => Promise<void>,
): Promise<void> {
  await using api = await openFakeApi();
  const list = { version: '10', items: [fakeObject('a', '1'), fakeObject('b', '2')] };
  const watches = new EventTarget();
  const waiting: { url: string; response: ServerResponse }[] = [];
  let refuse = 0;
  api.handle((request, response) => {
    const url = request.url ?? '';
    if (refuse !== 0) {
      sendStatus(response, refuse, refuse === 410 ? 'Expired' : 'InternalError', 'too old');
      refuse = 0;
    } else if (!url.includes('watch=true')) {
      sendJson(response, 200, { metadata: { resourceVersion: list.version }, items: list.items });
    } else {
      response.writeHead(200);
      response.flushHeaders();
      waiting.push({ url, response });
      watches.dispatchEvent(new Event('watch'));
    }
  });
  const stop = new AbortController();
  const client = openKubeClient({ server: api.url, namespace: '', insecureSkipTlsVerify: false }, { log: silentLog() });
  const events: string[] = [];
  const changed = new EventTarget();
  const tell = (text: string): void => {
    events.push(text);
    changed.dispatchEvent(new Event('event'));
  };
  const informer = startInformer(client, configMaps, {
    signal: stop.signal,
    log: silentLog(),
    backoff: { initialMs: 1, maxMs: 5 },
    onAdd: (object) => tell(`+${object.metadata.name}@${object.metadata.resourceVersion}`),
    onUpdate: (before, after) =>
      tell(`${before.metadata.name}:${before.metadata.resourceVersion}>${after.metadata.resourceVersion}`),
    onDelete: (object) => tell(`-${object.metadata.name}`),
  });
  try {
    await run({
      list,
      informer,
      async nextWatch() {
        while (waiting.length === 0) await once(watches, 'watch');
        const { url, response } = waiting.shift()!;
        return { url, response, send: (type, object) => response.write(`${JSON.stringify({ type, object })}\n`) };
      },
      async told(count) {
        while (events.length < count) await once(changed, 'event');
        return events;
      },
      refuseNext: (code) => (refuse = code),
    });
  } finally {
    stop.abort();
    await client.close();
  }
}

describe('an informer', () => {
  it('lists, then watches from the list, with bookmarks', () =>
    withInformer(async ({ informer, nextWatch, told }) => {
      await informer.synced;
      assert.deepEqual([...informer.store.keys()], ['ns/a', 'ns/b']);
      assert.equal(informer.store.get('ns/a')?.metadata.managedFields, undefined);
      const watch = await nextWatch();
      assert.match(watch.url, /resourceVersion=10&/);
      assert.match(watch.url, /allowWatchBookmarks=true/);
      watch.send('ADDED', fakeObject('c', '11'));
      watch.send('MODIFIED', fakeObject('a', '12'));
      watch.send('DELETED', fakeObject('b', '13'));
      assert.deepEqual((await told(5)).slice(2), ['+c@11', 'a:1>12', '-b']);
      watch.send('BOOKMARK', { metadata: { resourceVersion: '50' } });
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=50&/);
    }));

  it('tells the difference after an expired watch, deletions included', () =>
    withInformer(async ({ list, nextWatch, told, refuseNext }) => {
      const watch = await nextWatch();
      list.version = '30';
      list.items = [fakeObject('b', '2'), fakeObject('c', '25')];
      refuseNext(410);
      watch.response.end();
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=30&/);
      assert.deepEqual((await told(4)).slice(2), ['-a', '+c@25']);
    }));

  it('relists when the stream says that it is too old', () =>
    withInformer(async ({ list, nextWatch, told }) => {
      const watch = await nextWatch();
      list.items = [];
      watch.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
      await nextWatch();
      assert.deepEqual((await told(4)).slice(2), ['-a', '-b']);
    }));

  it('lists again when the server refuses to watch from there', () =>
    withInformer(async ({ list, nextWatch, told, refuseNext }) => {
      const watch = await nextWatch();
      list.version = '3';
      refuseNext(400);
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=3&/);
      assert.equal((await told(2)).length, 2);
    }));

  it('goes on after errors and cut connections without losing its place', () =>
    withInformer(async ({ nextWatch, told, refuseNext }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      await told(3);
      refuseNext(500);
      watch.response.destroy();
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=11&/);
      next.send('DELETED', fakeObject('c', '12'));
      assert.deepEqual((await told(4)).at(-1), '-c');
    }));

  it('treats an object made anew under the same name as removed and added', () =>
    withInformer(async ({ nextWatch, told }) => {
      const watch = await nextWatch();
      watch.send('MODIFIED', fakeObject('a', '11', 'another-uid'));
      assert.deepEqual((await told(4)).slice(2), ['-a', '+a@11']);
    }));
});
