import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpiffeId } from '../../api/names.ts';
import { compileRoutes } from '../../decision/routes/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import { engineBench, FakeExchange, forwardRule, testConnection } from './engine-fixtures.ts';
import type { HttpFilter, LocalReply } from './filter.ts';
import { createHttpEntry, type HttpEntry } from './http-entry.ts';
import type { DownstreamConnection, HttpRun } from './http-run.ts';
import type { HttpPlace } from './place.ts';

const spoofed = [
  'x-forwarded-client-cert',
  'URI=spiffe://evil',
  'x-forwarded-for',
  '1.1.1.1, 2.2.2.2',
  'x-request-id',
  'theirs',
  'x-envoy-original-path',
  '/x',
];

interface Setting {
  readonly trust: 'mesh' | 'edge';
  readonly place?: Partial<HttpPlace>;
  readonly trustedHops?: number;
  readonly path?: string;
  readonly scheme?: 'http' | 'https';
}

/** What the backend is told of a request with headers that are not the client's to set. */
function enter({ trust, place = {}, trustedHops = 0, path = '/a', scheme = 'http' }: Setting): {
  readonly headers: HeaderList | undefined;
  readonly path: string | undefined;
  readonly scheme: string | undefined;
  readonly exchange: FakeExchange;
} {
  const { upstreams, place: ownPlace } = engineBench();
  const connection: DownstreamConnection = {
    ...testConnection,
    sourceIdentity: 'spiffe://cluster.local/ns/front/sa/client' as SpiffeId,
    localIdentity: 'spiffe://cluster.local/ns/shop/sa/waypoint' as SpiffeId,
  };
  const entry = createHttpEntry({
    services: ownPlace.services,
    connection,
    version: 'http/1.1',
    placeOf: () => ({ ...ownPlace, settings: { ...ownPlace.settings, numTrustedProxies: trustedHops }, ...place }),
    trust,
    onBadRequest() {},
    onClose() {},
  });
  const exchange = new FakeExchange({ path, scheme, headers: new HeaderList([...spoofed]) });
  entry.listener.onRequest(exchange);
  const head = upstreams.attempts[0]?.request.head;
  return { headers: head?.headers, path: head?.path, scheme: head?.scheme, exchange };
}

describe('a request that enters', () => {
  test('at a waypoint never says by itself who sent it', () => {
    const { headers } = enter({ trust: 'mesh' });
    assert.equal(headers?.has('x-forwarded-client-cert'), false);
    assert.equal(headers?.get('x-forwarded-for'), '1.1.1.1, 2.2.2.2');
    assert.equal(headers?.get('x-request-id'), 'theirs');
    const told = enter({ trust: 'mesh', place: { tellsIdentity: true } }).headers;
    assert.deepEqual(told?.getAll('x-forwarded-client-cert'), [
      'By=spiffe://cluster.local/ns/shop/sa/waypoint;URI=spiffe://cluster.local/ns/front/sa/client',
    ]);
  });

  test('at the edge loses what strangers may not say, and gains where it comes from', () => {
    const { headers } = enter({ trust: 'edge' });
    assert.equal(headers?.has('x-forwarded-client-cert'), false);
    assert.equal(headers?.has('x-envoy-original-path'), false);
    assert.notEqual(headers?.get('x-request-id'), 'theirs');
    assert.deepEqual(headers?.getAll('x-forwarded-for'), ['1.1.1.1, 2.2.2.2,10.1.1.1']);
    assert.equal(headers?.get('x-forwarded-proto'), 'http');
    assert.equal(enter({ trust: 'edge', trustedHops: 1 }).headers?.get('x-request-id'), 'theirs');
  });

  test('at the edge has the scheme of its connection, whatever it says itself', () => {
    assert.equal(enter({ trust: 'edge', scheme: 'https' }).scheme, 'http');
    assert.equal(enter({ trust: 'mesh', scheme: 'https' }).scheme, 'https');
  });

  test('has its path in normal form, or is refused', () => {
    assert.equal(enter({ trust: 'mesh', path: '/a/../b/%2E/c' }).path, '/b/c');
    const { exchange, headers } = enter({ trust: 'mesh', path: '/a%00b' });
    assert.equal(headers, undefined);
    assert.equal(exchange.head?.status, 400);
  });

  test('that is refused for its path is told to filters, which have no say in it', () => {
    const said: string[] = [];
    const filter = {
      name: 'witness',
      onRequest: () => void said.push('asked'),
      onResponse: ({ responseDetails }: HttpRun) => void said.push(responseDetails),
    };
    enter({ trust: 'mesh', path: '/a%00b', place: { filters: [filter] } });
    assert.deepEqual(said, ['path_normalization_failed']);
  });

  test('at no place is answered 404, or 421 where its place is at another connection', () => {
    const statuses = [undefined, 'misdirected' as const].map((place) => {
      const entry = createHttpEntry({
        services: engineBench().place.services,
        connection: testConnection,
        version: 'http/1.1',
        placeOf: () => place,
        trust: 'edge',
        onBadRequest() {},
        onClose() {},
      });
      const exchange = new FakeExchange();
      entry.listener.onRequest(exchange);
      return exchange.head?.status;
    });
    assert.deepEqual(statuses, [404, 421]);
  });

  test('and became a tunnel ends when the policies of now do not let it in', () => {
    const { upstreams, place: ownPlace } = engineBench();
    const seen: string[] = [];
    let denied = false;
    const guard: HttpFilter = {
      name: 'guard',
      review(facts) {
        seen.push(facts.request?.path ?? '');
        return denied ? { status: 403, flag: '', details: 'rbac', reason: 'denied by shop/no' } : undefined;
      },
    };
    const rules = [
      forwardRule({
        action: {
          kind: 'forward',
          destinations: [{ weight: 1, target: { kind: 'backend', backend: 'web' } }],
          rewrite: { path: { kind: 'full', value: '/inner' } },
        },
      }),
    ];
    const table = { ...ownPlace.table, hosts: [{ domains: ['*'], rules }] };
    const place = { ...ownPlace, table, routes: compileRoutes(table), filters: [guard] };
    const entry = createHttpEntry({
      services: ownPlace.services,
      connection: testConnection,
      version: 'http/1.1',
      placeOf: () => place,
      trust: 'mesh',
      onBadRequest() {},
      onClose() {},
    });
    const exchange = new FakeExchange({ path: '/chat', upgrade: 'websocket' }, 'unknown');
    entry.listener.onRequest(exchange);
    assert.equal(upstreams.last.request.head.path, '/inner');
    entry.review();
    assert.deepEqual(seen, [], 'it is no tunnel yet');
    upstreams.last.reader.onResponse({ status: 101, headers: new HeaderList() }, false);
    entry.review();
    assert.equal(seen.length, 1);
    denied = true;
    entry.review();
    assert.match(String(exchange.resetBy), /not allowed any more: denied by shop\/no/);
    assert.deepEqual(seen, ['/chat', '/chat'], 'as it came, not as it was sent on');
    exchange.reader.onClose();
    entry.review();
    assert.equal(seen.length, 2);
  });

  test('and became a tunnel ends once whoever has to ask first has heard a refusal of the policies of now', async () => {
    const asked: PromiseWithResolvers<LocalReply | undefined>[] = [];
    const signals: AbortSignal[] = [];
    const scene = tunnelScene({
      name: 'guard',
      review(_, signal) {
        signals.push(signal);
        const answer = Promise.withResolvers<LocalReply | undefined>();
        asked.push(answer);
        return answer.promise;
      },
    });
    const { entry, exchange } = scene;
    entry.review();
    entry.review();
    asked[0]?.resolve(refusal);
    await settled();
    assert.equal(exchange.resetBy, undefined, 'a configuration that was replaced counts no more');
    asked[1]?.resolve(undefined);
    await settled();
    assert.equal(exchange.resetBy, undefined);
    entry.review();
    asked[2]?.resolve(refusal);
    await settled();
    assert.match(String(exchange.resetBy), /not allowed any more: denied by shop\/no/);
    assert.ok(!signals.some(({ aborted }) => aborted));
    exchange.reader.onClose();
    assert.ok(
      signals.every(({ aborted }) => aborted),
      'whoever asks may give up',
    );
  });

  test('and becomes a tunnel under another configuration than it came in by is looked at again', () => {
    const seen: string[] = [];
    const guard: HttpFilter = { name: 'guard', review: ({ request }) => (seen.push(request.path), refusal) };
    const { exchange } = tunnelScene({ name: 'none' }, guard);
    assert.deepEqual(seen, ['/chat']);
    assert.match(String(exchange.resetBy), /not allowed any more: denied by shop\/no/);
  });

  test('and became a tunnel is shown to filters as it came, too', () => {
    const seen: unknown[] = [];
    const { entry } = tunnelScene({
      name: 'guard',
      onRequest: ({ request }) => void request.headers.remove('authorization'),
      review({ request, arrived }) {
        seen.push(request.headers.get('authorization'), arrived.headers.get('authorization'));
        return undefined;
      },
    });
    entry.review();
    assert.deepEqual(seen, [undefined, 'Bearer x']);
  });
});

const refusal: LocalReply = { status: 403, flag: '', details: 'rbac', reason: 'denied by shop/no' };

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

/** A tunnel that `before` let in, and that is under `after` when the backend takes it; absent: still `before`. */
function tunnelScene(before: HttpFilter, after = before): { entry: HttpEntry; exchange: FakeExchange } {
  const { upstreams, place: ownPlace } = engineBench();
  const placeWith = (filter: HttpFilter): HttpPlace => ({ ...ownPlace, filters: [filter] });
  let place = placeWith(before);
  const entry = createHttpEntry({
    services: ownPlace.services,
    connection: testConnection,
    version: 'http/1.1',
    placeOf: () => place,
    trust: 'mesh',
    onBadRequest() {},
    onClose() {},
  });
  const headers = new HeaderList(['authorization', 'Bearer x']);
  const exchange = new FakeExchange({ path: '/chat', upgrade: 'websocket', headers }, 'unknown');
  entry.listener.onRequest(exchange);
  if (after !== before) place = placeWith(after);
  upstreams.last.reader.onResponse({ status: 101, headers: new HeaderList() }, false);
  return { entry, exchange };
}
