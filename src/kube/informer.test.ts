import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import type { KindRef, KubeObject } from '../api/index.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { fakeObject, openFakeApi, sendJson, sendStatus } from './fake-api.ts';
import { openKubeClient } from './http-client.ts';
import { registerInformerMetrics } from './informer-metrics.ts';
import { startInformer, type Informer, type InformerOptions } from './informer.ts';

const configMaps: KindRef = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };

interface Watch {
  readonly url: string;
  readonly response: ServerResponse;
  send(type: string, object: unknown): void;
}

interface World {
  readonly list: { version: string; items: KubeObject[] };
  /** Every request so far. */
  readonly seen: readonly string[];
  readonly informer: Informer<KubeObject>;
  readonly nextWatch: () => Promise<Watch>;
  /** What the handlers were told, once it is so much. */
  readonly told: (count: number) => Promise<string[]>;
  readonly refuseNext: (code: number, headers?: Record<string, string>) => void;
  /** Takes over the lists. */
  readonly answerLists: (answer: (url: URL, response: ServerResponse) => void) => void;
}

/** An informer against scripted lists and watches. It lists in pages unless told otherwise. */
async function withInformer(
  options: Partial<InformerOptions<KubeObject>>,
  run: (world: World) => Promise<void>,
): Promise<void> {
  await using api = await openFakeApi();
  const list = { version: '10', items: [fakeObject('a', '1'), fakeObject('b', '2')] };
  const watches = new EventTarget();
  const waiting: { url: string; response: ServerResponse }[] = [];
  let refusal: { code: number; headers: Record<string, string> } | undefined;
  let answerList = (_: URL, response: ServerResponse): void =>
    sendJson(response, 200, { metadata: { resourceVersion: list.version }, items: list.items });
  api.handle((request, response) => {
    const url = request.url ?? '';
    if (refusal) {
      const { code, headers } = refusal;
      refusal = undefined;
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      sendStatus(response, code, code === 410 ? 'Expired' : 'InternalError', 'too old');
    } else if (!url.includes('watch=true')) {
      answerList(new URL(url, 'http://x'), response);
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
    streamsLists: false,
    onAdd: (object) => tell(`+${object.metadata.name}@${object.metadata.resourceVersion}`),
    onUpdate: (before, after) =>
      tell(`${before.metadata.name}:${before.metadata.resourceVersion}>${after.metadata.resourceVersion}`),
    onDelete: (object) => tell(`-${object.metadata.name}`),
    ...options,
  });
  try {
    await run({
      list,
      seen: api.seen,
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
      refuseNext: (code, headers = {}) => (refusal = { code, headers }),
      answerLists: (answer) => (answerList = answer),
    });
  } finally {
    stop.abort();
    await client.close();
  }
}

const bookmark = (resourceVersion: string, annotations?: Record<string, string>): unknown => ({
  kind: 'ConfigMap',
  metadata: { resourceVersion, annotations },
});
const initialEnd = { 'k8s.io/initial-events-end': 'true' };

describe('an informer', () => {
  it('lists, then watches from the list, with bookmarks', () =>
    withInformer({}, async ({ informer, nextWatch, told, seen }) => {
      await informer.synced;
      assert.equal(informer.isSynced, true);
      assert.deepEqual([...informer.store.keys()], ['ns/a', 'ns/b']);
      assert.equal(informer.store.get('ns/a')?.metadata.managedFields, undefined);
      assert.equal(informer.store.get('ns/a')?.kind, 'ConfigMap');
      const watch = await nextWatch();
      assert.equal(seen[0], 'GET /api/v1/configmaps?limit=500');
      assert.match(watch.url, /resourceVersion=10&/);
      assert.match(watch.url, /allowWatchBookmarks=true/);
      watch.send('ADDED', fakeObject('c', '11'));
      watch.send('MODIFIED', fakeObject('a', '12'));
      watch.send('DELETED', fakeObject('b', '13'));
      assert.deepEqual((await told(5)).slice(2), ['+c@11', 'a:1>12', '-b']);
      watch.send('BOOKMARK', bookmark('50'));
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=50&/);
    }));

  it('of a kind that the server need not know is synced without it, and follows it once it comes', async () => {
    let known = false;
    const answer = (_: URL, response: ServerResponse): void =>
      known
        ? sendJson(response, 200, { metadata: { resourceVersion: '5' }, items: [fakeObject('a', '4')] })
        : sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    await withInformer({ isOptional: true }, async ({ informer, answerLists, told }) => {
      answerLists(answer);
      await informer.synced;
      assert.equal(informer.store.size, 0);
      known = true;
      assert.deepEqual(await told(1), ['+a@4']);
    });
    known = false;
    await withInformer({}, async ({ informer, answerLists, seen }) => {
      answerLists(answer);
      while (seen.length < 3) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(informer.isSynced, false, 'what must be there is waited for');
    });
  });

  it('tells the difference after an expired watch, deletions included', () =>
    withInformer({}, async ({ list, nextWatch, told, refuseNext }) => {
      const watch = await nextWatch();
      list.version = '30';
      list.items = [fakeObject('b', '2'), fakeObject('c', '25')];
      refuseNext(410);
      watch.response.end();
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=30&/);
      assert.deepEqual((await told(4)).slice(2).toSorted(), ['+c@25', '-a']);
    }));

  it('relists when the stream says that it is too old', () =>
    withInformer({}, async ({ list, nextWatch, told }) => {
      const watch = await nextWatch();
      list.items = [];
      watch.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
      await nextWatch();
      assert.deepEqual((await told(4)).slice(2), ['-a', '-b']);
    }));

  it('lists again when the server refuses to watch from there', () =>
    withInformer({}, async ({ list, nextWatch, told, refuseNext }) => {
      const watch = await nextWatch();
      list.version = '3';
      refuseNext(400);
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=3&/);
      assert.equal((await told(2)).length, 2);
    }));

  it('goes on after errors and cut connections without losing its place', () =>
    withInformer({}, async ({ nextWatch, told, refuseNext, seen }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      await told(3);
      refuseNext(500);
      watch.response.destroy();
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=11&/);
      next.send('DELETED', fakeObject('c', '12'));
      assert.deepEqual((await told(4)).at(-1), '-c');
      assert.equal(seen.filter((line) => !line.includes('watch=true')).length, 1);
    }));

  it('treats an object made anew under the same name as removed and added', () =>
    withInformer({}, async ({ nextWatch, told }) => {
      const watch = await nextWatch();
      watch.send('MODIFIED', fakeObject('a', '11', 'another-uid'));
      assert.deepEqual((await told(4)).slice(2), ['-a', '+a@11']);
    }));

  it('never applies a line that was cut, and asks for it again', () =>
    withInformer({}, async ({ nextWatch, told, informer }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      await told(3);
      // A whole object, but no end of line: it may be part of something longer.
      watch.response.end(JSON.stringify({ type: 'ADDED', object: fakeObject('d', '12') }));
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=11&/);
      assert.equal(informer.store.has('ns/d'), false);
    }));

  it('takes a line over its limit from a list instead', () =>
    withInformer({ maxLineBytes: 500 }, async ({ list, nextWatch, told, informer }) => {
      const watch = await nextWatch();
      list.version = '20';
      const large = { ...fakeObject('a', '20'), data: 'x'.repeat(1000) } as KubeObject;
      list.items = [large, fakeObject('b', '2')];
      watch.send('MODIFIED', large);
      const next = await nextWatch();
      assert.match(next.url, /resourceVersion=20&/);
      next.send('DELETED', fakeObject('b', '21'));
      assert.deepEqual((await told(4)).slice(2), ['a:1>20', '-b']);
      assert.equal(informer.health().failures, 0);
    }));

  it('is not harmed by an event that comes twice or too late', () =>
    withInformer({}, async ({ nextWatch, told, list }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      watch.send('ADDED', fakeObject('c', '11'));
      watch.send('MODIFIED', fakeObject('c', '12'));
      await told(4);
      list.version = '13';
      list.items = [...list.items, fakeObject('c', '12')];
      watch.send('ADDED', fakeObject('c', '11'));
      assert.match((await nextWatch()).url, /resourceVersion=13&/);
      assert.deepEqual((await told(4)).slice(2), ['+c@11', 'c:11>12']);
    }));

  it('follows storage that was set back, even to versions that it has seen', () =>
    withInformer({}, async ({ nextWatch, told, list, refuseNext }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      watch.send('MODIFIED', { ...fakeObject('a', '12'), data: { of: 'yesterday' } });
      await told(4);
      list.version = '12';
      list.items = [fakeObject('b', '2'), { ...fakeObject('a', '12'), data: { of: 'the backup' } } as KubeObject];
      refuseNext(410);
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=12&/);
      assert.deepEqual((await told(6)).slice(4), ['a:12>12', '-c']);
    }));

  it('waits as long as a throttling server asks', () =>
    withInformer({}, async ({ nextWatch, refuseNext, informer }) => {
      const watch = await nextWatch();
      refuseNext(429, { 'retry-after': '3600' });
      watch.response.end();
      while (informer.health().phase !== 'waiting' || informer.health().failures === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(informer.health().resourceVersion, '10');
    }));

  it('gives up a watch that fell silent where bookmarks are sent, and lists again', () =>
    withInformer({ maxSilenceMs: 30 }, async ({ nextWatch, list }) => {
      const watch = await nextWatch();
      watch.send('BOOKMARK', bookmark('15'));
      list.version = '16';
      assert.match((await nextWatch()).url, /resourceVersion=16&/);
    }));

  it('survives handlers and transforms that throw', () =>
    withInformer(
      {
        transform() {
          throw new Error('no');
        },
        onAdd() {
          throw new Error('no');
        },
      },
      async ({ informer, nextWatch }) => {
        await nextWatch();
        assert.deepEqual([...informer.store.keys()], ['ns/a', 'ns/b']);
      },
    ));

  it('rejects `synced` when it is stopped before', async () => {
    let early: Promise<void> | undefined;
    await withInformer({}, async ({ informer, answerLists }) => {
      answerLists(() => {});
      early = informer.synced;
    });
    await assert.rejects(early!);
  });

  it('counts what it does', async () => {
    const registry = new MetricsRegistry({ clock: systemClock, log: silentLog() });
    await withInformer({ metrics: registerInformerMetrics(registry) }, async ({ nextWatch, refuseNext, told }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('c', '11'));
      await told(3);
      refuseNext(503);
      watch.response.end();
      (await nextWatch()).send('DELETED', fakeObject('c', '12'));
      await told(4);
      const text = registry.write('text');
      assert.match(text, /ambit_kube_lists_total\{group="",resource="configmaps"\} 1/);
      assert.match(text, /ambit_kube_watches_total\{group="",resource="configmaps"\} 2/);
      assert.match(text, /ambit_kube_objects\{group="",resource="configmaps"\} 2/);
      assert.match(text, /ambit_kube_events_total\{group="",resource="configmaps",type="ADDED"\} 1/);
      assert.match(text, /ambit_kube_failures_total\{group="",resource="configmaps",code="kube.internal-error"\} 1/);
      assert.match(text, /ambit_kube_last_heard_timestamp_seconds\{group="",resource="configmaps"\} \d{10}/);
    });
  });
});

describe('a list in pages', () => {
  const pages = (response: ServerResponse, version: string, items: KubeObject[], token?: string): void =>
    sendJson(response, 200, { metadata: { resourceVersion: version, ...(token ? { continue: token } : {}) }, items });

  it('is taken page by page, and what no page named is deleted at the end', () =>
    withInformer({ pageSize: 2 }, async ({ nextWatch, answerLists, refuseNext, told, seen }) => {
      const watch = await nextWatch();
      answerLists((url, response) => {
        const token = url.searchParams.get('continue');
        if (token === null) pages(response, '40', [fakeObject('b', '2'), fakeObject('c', '31')], 'next/+=');
        else pages(response, '40', [fakeObject('d', '32')]);
      });
      refuseNext(410);
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=40&/);
      assert.deepEqual((await told(5)).slice(2), ['+c@31', '+d@32', '-a']);
      assert.deepEqual(seen.filter((line) => !line.includes('watch')).slice(1), [
        'GET /api/v1/configmaps?limit=2',
        'GET /api/v1/configmaps?limit=2&continue=next%2F%2B%3D',
      ]);
    }));

  it('is begun again in one answer when its token expires', () =>
    withInformer({ pageSize: 2 }, async ({ nextWatch, answerLists, refuseNext, told, seen }) => {
      const watch = await nextWatch();
      answerLists((url, response) => {
        if (url.searchParams.has('continue')) return sendStatus(response, 410, 'Expired', 'too old');
        const all = [fakeObject('b', '2'), fakeObject('c', '31'), fakeObject('d', '50')];
        if (url.searchParams.has('limit')) return pages(response, '40', all.slice(0, 2), 'next');
        return pages(response, '60', all);
      });
      refuseNext(410);
      watch.response.end();
      assert.match((await nextWatch()).url, /resourceVersion=60&/);
      assert.deepEqual((await told(5)).slice(2), ['+c@31', '+d@50', '-a']);
      assert.equal(seen.at(-2), 'GET /api/v1/configmaps');
    }));

  it('goes on when a page is cut in the middle of its body', () =>
    withInformer({ pageSize: 1 }, async ({ nextWatch, answerLists, refuseNext, told }) => {
      const watch = await nextWatch();
      let cuts = 0;
      answerLists((url, response) => {
        if (!url.searchParams.has('continue')) return pages(response, '40', [fakeObject('a', '1')], 'next');
        if (cuts++ > 0) return pages(response, '40', [fakeObject('e', '33')]);
        response.writeHead(200, { 'content-length': '5000' });
        response.write('{"metadata":{},"items":[{"metadata":{"name":"x"');
        return setImmediate(() => response.destroy());
      });
      refuseNext(410);
      watch.response.end();
      await nextWatch();
      assert.deepEqual((await told(4)).slice(2), ['+e@33', '-b']);
    }));
});

describe('a streamed list', () => {
  it('is a watch that begins with all there is, and goes on', () =>
    withInformer({ streamsLists: true }, async ({ informer, nextWatch, told }) => {
      const watch = await nextWatch();
      assert.match(watch.url, /sendInitialEvents=true&resourceVersionMatch=NotOlderThan/);
      assert.match(watch.url, /allowWatchBookmarks=true/);
      assert.doesNotMatch(watch.url, /resourceVersion=/);
      watch.send('ADDED', fakeObject('a', '1'));
      watch.send('ADDED', fakeObject('b', '2'));
      await told(2);
      assert.equal(informer.isSynced, false);
      watch.send('BOOKMARK', bookmark('10', initialEnd));
      await informer.synced;
      watch.send('MODIFIED', fakeObject('a', '11'));
      assert.deepEqual((await told(3)).at(-1), 'a:1>11');
      watch.response.end();
      assert.match((await nextWatch()).url, /[?&]resourceVersion=11&/);
    }));

  it('takes out what it did not name, once it is over', () =>
    withInformer({ streamsLists: true }, async ({ informer, nextWatch, told }) => {
      const watch = await nextWatch();
      for (const name of ['a', 'b', 'c']) watch.send('ADDED', fakeObject(name, '1'));
      watch.send('BOOKMARK', bookmark('10', initialEnd));
      await informer.synced;
      watch.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
      const next = await nextWatch();
      assert.match(next.url, /sendInitialEvents=true/);
      next.send('ADDED', fakeObject('b', '1'));
      next.send('ADDED', fakeObject('c', '20', 'new'));
      next.send('ADDED', fakeObject('d', '21'));
      // Gone while the initial events were told.
      next.send('DELETED', fakeObject('d', '22'));
      next.send('BOOKMARK', bookmark('22', initialEnd));
      assert.deepEqual((await told(8)).slice(3), ['-c', '+c@20', '+d@21', '-d', '-a']);
      assert.deepEqual([...informer.store.keys()].toSorted(), ['ns/b', 'ns/c']);
    }));

  it('is begun again when it is cut, and nothing is deleted for what was not told', () =>
    withInformer({ streamsLists: true }, async ({ nextWatch, told, informer }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('a', '1'));
      watch.send('BOOKMARK', bookmark('10', initialEnd));
      await informer.synced;
      watch.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
      const cut = await nextWatch();
      cut.send('ADDED', fakeObject('b', '2'));
      await told(2);
      cut.response.destroy();
      assert.match((await nextWatch()).url, /sendInitialEvents=true/);
      assert.deepEqual(await told(2), ['+a@1', '+b@2']);
    }));

  for (const code of [400, 422]) {
    it(`becomes pages when the server refuses it with ${code}`, () => refusingStreams(code));
  }

  it('becomes pages when the server ignores what was asked', () =>
    withInformer({ streamsLists: true }, async ({ nextWatch, informer, seen }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('a', '1'));
      watch.send('BOOKMARK', bookmark('10'));
      assert.match((await nextWatch()).url, /[?&]resourceVersion=10&/);
      assert.equal(informer.isSynced, true);
      assert.equal(seen[1], 'GET /api/v1/configmaps?limit=500');
    }));

  it('becomes pages when its end is never told', () =>
    withInformer({ streamsLists: true, maxSilenceMs: 30 }, async ({ nextWatch, seen }) => {
      const watch = await nextWatch();
      watch.send('ADDED', fakeObject('a', '1'));
      assert.match((await nextWatch()).url, /[?&]resourceVersion=10&/);
      assert.equal(seen[1], 'GET /api/v1/configmaps?limit=500');
    }));
});

async function refusingStreams(code: number): Promise<void> {
  await using api = await openFakeApi();
  const watching = Promise.withResolvers<string>();
  api.handle((request, response) => {
    const url = request.url ?? '';
    if (url.includes('sendInitialEvents')) sendStatus(response, code, 'Invalid', 'sendInitialEvents is forbidden');
    else if (url.includes('watch=true')) watching.resolve(url);
    else sendJson(response, 200, { metadata: { resourceVersion: '7' }, items: [] });
  });
  const client = openKubeClient({ server: api.url, namespace: '', insecureSkipTlsVerify: false }, { log: silentLog() });
  const stop = new AbortController();
  const informer = startInformer(client, configMaps, { signal: stop.signal, log: silentLog() });
  await informer.synced;
  assert.match(await watching.promise, /[?&]resourceVersion=7&/);
  assert.deepEqual(api.seen.map((line) => line.replace(/&timeoutSeconds=\d+/, '')).slice(0, 2), [
    'GET /api/v1/configmaps?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    'GET /api/v1/configmaps?limit=500',
  ]);
  stop.abort();
  await client.close();
}
