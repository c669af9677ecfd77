import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SessionPersistence } from '../../../api/l7/index.ts';
import type { WorkloadUid } from '../../../api/names.ts';
import { meshWorkload } from '../../../mesh/fixtures.ts';
import { HeaderList } from '../../../http/header-list.ts';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import { placeFor, runFor, type TestRun } from '../filter-fixtures.ts';
import { sessionFilter } from './filter.ts';
import { formatToken, tryParseToken } from './token.ts';

const cookie: SessionPersistence = { type: 'cookie', name: 'cart', lifetime: 'session' };
const backend = 'outbound|80||web.shop.svc.cluster.local';

function openFilter() {
  const clock = createFakeClock(Date.parse('2026-01-01T00:00:00Z'));
  const filter = sessionFilter.build(placeFor({}, { clock }));
  assert.ok(filter);
  return {
    clock,
    ask: async (
      session: SessionPersistence | undefined,
      headers: readonly string[],
      isTls = false,
    ): Promise<TestRun> => {
      const run = runFor({ headers, connection: { isTls }, route: session ? { sessionPersistence: session } : {} });
      assert.equal(await filter.onRequest?.(run), undefined);
      return run;
    },
    /** The fields that the answer of `host` gives the client. */
    answer: async (run: TestRun, host: string | undefined): Promise<Record<string, string>> => {
      run.backend = backend;
      run.host = {
        address: '10.244.1.9',
        port: 80,
        tunnelled: true,
        ...(host === undefined ? {} : { workload: meshWorkload({ uid: host as WorkloadUid }) }),
      };
      const head = { status: 200, headers: new HeaderList() };
      await filter.onResponse?.(run, head);
      return Object.fromEntries(head.headers);
    },
  };
}

const valueOf = (field = ''): string => /^cart=([^;]+)/.exec(field)?.[1] ?? '';

describe('a session', () => {
  it('begins with the first answer, and keeps to its endpoint', async () => {
    const { ask, answer } = openFilter();
    const first = await ask(cookie, []);
    assert.equal(first.preferredHost, undefined);
    const { 'set-cookie': field } = await answer(first, 'a');
    assert.match(field ?? '', /^cart=[\w-]+; Path=\/; HttpOnly$/);
    const next = await ask(cookie, ['cookie', 'other=1', 'cookie', `x=y; cart=${valueOf(field)}`]);
    assert.deepEqual([next.preferredHost, next.preferredBackend], ['a', backend]);
    assert.deepEqual(await answer(next, 'a'), {}, 'nothing new to say');
  });

  it('begins anew when its endpoint is gone', async () => {
    const { ask, answer } = openFilter();
    const token = formatToken({ backend, host: 'a' as WorkloadUid, sinceMs: Date.parse('2026-01-01T00:00:00Z') });
    const { 'set-cookie': field } = await answer(await ask(cookie, ['cookie', `cart=${token}`]), 'b');
    assert.equal(tryParseToken(valueOf(field))?.host, 'b');
  });

  it('ends after its time, whatever the client says', async () => {
    const { ask, answer, clock } = openFilter();
    const limited = { ...cookie, absoluteTimeoutMs: 60_000, lifetime: 'permanent' as const, path: '/cart' };
    const { 'set-cookie': field = '' } = await answer(await ask(limited, []), 'a');
    assert.match(field, /; Path=\/cart; Max-Age=60; HttpOnly$/);
    const headers = ['cookie', `cart=${valueOf(field)}`];
    clock.advance(59_000);
    assert.equal((await ask(limited, headers)).preferredHost, 'a');
    clock.advance(1000);
    assert.equal((await ask(limited, headers)).preferredHost, undefined);
  });

  it('may go by a header', async () => {
    const { ask, answer } = openFilter();
    const session: SessionPersistence = { type: 'header', name: 'X-Session', lifetime: 'session' };
    const { 'x-session': value = '' } = await answer(await ask(session, []), 'a');
    assert.equal((await ask(session, ['x-session', value])).preferredHost, 'a');
  });

  it('has a cookie for TLS alone where it began under TLS', async () => {
    const { ask, answer } = openFilter();
    assert.match((await answer(await ask(cookie, [], true), 'a'))['set-cookie'] ?? '', /; Secure$/);
  });

  it('is none without a rule, an endpoint that the mesh knows, or an answer of one', async () => {
    const { ask, answer } = openFilter();
    assert.deepEqual(await answer(await ask(undefined, []), 'a'), {});
    assert.deepEqual(await answer(await ask(cookie, []), undefined), {});
    const failed = await ask(cookie, []);
    failed.failure = { kind: 'connect-failure', flag: 'UF', message: '', sent: 'no' };
    assert.deepEqual(await answer(failed, 'a'), {});
  });

  it('is not made of what is no token', async () => {
    const { ask } = openFilter();
    for (const text of ['', 'x', '!!', Buffer.from('1\n2').toString('base64url'), 'A'.repeat(2000)]) {
      assert.equal((await ask(cookie, ['cookie', `cart=${text}`])).preferredHost, undefined, text);
    }
    const early = Buffer.from('x\nb\nh').toString('base64url');
    assert.equal(tryParseToken(early), undefined);
  });
});
