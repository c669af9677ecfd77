import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Backend, Provider, RateLimit, RateLimitKey, RateLimitRule } from '../../../api/l7/index.ts';
import type { ServiceKey } from '../../../api/names.ts';
import { HeaderList } from '../../../http/header-list.ts';
import { createFakeClock, type FakeClock } from '../../../lib/fake-clock.ts';
import type { LogFields } from '../../../lib/log.ts';
import { TokenBuckets, type TokenStore } from '../../../policy/rate-limit.ts';
import {
  type RateLimitResponseInit,
  readRateLimitRequest,
  writeRateLimitResponse,
} from '../../../wire/policy-service-fixtures.ts';
import type { FilterPlace, HttpFilter, LocalReply } from '../../engine/filter.ts';
import { placeFor, runFor, type RunOptions, type TestRun } from '../filter-fixtures.ts';
import { openTestService, type ServedAnswer, type TestService } from '../service-fixture.ts';
import { rateLimitFilter } from './filter.ts';
import { compileLimit, LimitSubject } from './limit-rules.ts';
import { bucketKey } from './local-limits.ts';

const local = (burst: number, tokens = 1, intervalMs = 1000): RateLimitRule['enforcement'] => ({
  kind: 'local',
  burst,
  tokens,
  intervalMs,
});

const global = (
  more: Partial<RateLimitRule['enforcement'] & { kind: 'global' }> = {},
): RateLimitRule['enforcement'] => ({
  kind: 'global',
  provider: 'limits',
  domain: 'shop',
  timeoutMs: 20,
  failOpen: false,
  ...more,
});

const rule = (more: Partial<RateLimitRule> = {}): RateLimitRule => ({
  name: 'all',
  matches: [],
  by: [],
  enforcement: local(2),
  dryRun: false,
  status: 429,
  ...more,
});

const policy = (limits: readonly RateLimitRule[], name = 'shop/limit'): RateLimit => ({
  kind: 'rate-limit',
  name,
  origin: { kind: 'RateLimit', namespace: 'shop', name, generation: 1 },
  limits,
});

const provider: Provider = {
  kind: 'provider',
  name: 'limits',
  use: { kind: 'rate-limit' },
  backend: 'outbound|8081||limits',
};

const backend: Backend = {
  kind: 'backend',
  name: 'outbound|8081||limits',
  service: 'shop/limits' as ServiceKey,
  hostname: 'limits.shop.svc.cluster.local',
  port: 8081,
  protocol: 'http2',
  throughWaypoint: false,
  loadBalancer: { kind: 'round-robin' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 1000 },
};

interface Bench {
  readonly place: FilterPlace;
  readonly service: TestService;
  readonly clock: FakeClock;
  readonly filter: HttpFilter;
  readonly log: [string, LogFields | undefined][];
  ask(request?: RunOptions): Promise<{ readonly run: TestRun; readonly reply: LocalReply | undefined }>;
  /** Whether it passes. */
  passes(request?: RunOptions): Promise<boolean>;
  /** Fields that an answer gets. */
  answerOf(run: TestRun, headers?: HeaderList): Record<string, string>;
}

function openBench(limits: readonly RateLimitRule[], answer: () => ServedAnswer = () => 'never'): Bench {
  const clock = createFakeClock();
  const service = openTestService(answer);
  const log: Bench['log'] = [];
  const place = placeFor(
    { rateLimits: [policy(limits)], providers: [provider] },
    {
      clock,
      upstreams: service.upstreams,
      backends: [backend],
      onInfo: (message, fields) => log.push([message, fields]),
    },
  );
  const filter = rateLimitFilter.build(place);
  assert.ok(filter);
  const ask: Bench['ask'] = async (request = {}) => {
    const run = runFor(request);
    return { run, reply: await filter.onRequest?.(run) };
  };
  return {
    place,
    service,
    clock,
    filter,
    log,
    ask,
    passes: async (request) => (await ask(request)).reply === undefined,
    answerOf(run, headers = new HeaderList()) {
      void filter.onResponse?.(run, { status: 200, headers });
      return Object.fromEntries(headers);
    },
  };
}

const counted = ({ place }: Bench): string[] =>
  place.services.metrics
    .write('text')
    .split('\n')
    .filter((line) => line.startsWith('ambit_rate_limit_requests_total{'))
    .map((line) => line.replace('ambit_rate_limit_requests_total', ''));

describe('local rate limit', () => {
  it('is not there without a policy', () => {
    assert.equal(rateLimitFilter.build(placeFor({})), undefined);
  });

  it('refuses what is over the limit, says why, and lets more pass with time', async () => {
    const bench = openBench([rule()]);
    const first = await bench.ask();
    assert.equal(first.reply, undefined);
    assert.deepEqual(bench.answerOf(first.run), {
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': '1',
      'x-ratelimit-reset': '1',
    });
    assert.equal(await bench.passes(), true);
    const { run, reply } = await bench.ask();
    assert.deepEqual(
      { ...reply, headers: Object.fromEntries(reply?.headers ?? []) },
      {
        status: 429,
        headers: { 'x-envoy-ratelimited': 'true', 'retry-after': '1' },
        body: 'local_rate_limited',
        flag: 'RL',
        details: 'local_rate_limited',
        reason: 'rate limit shop/limit is used up, by rule "all"',
      },
    );
    assert.deepEqual(bench.answerOf(run), {
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '1',
    });
    assert.deepEqual(counted(bench), ['{policy="shop/limit",rule="all",result="limited"} 1']);
    bench.clock.advance(1000);
    assert.equal(await bench.passes(), true);
    assert.equal(await bench.passes(), false);
  });

  it('leaves the limits alone that the application tells of', async () => {
    const bench = openBench([rule()]);
    const { run } = await bench.ask();
    assert.deepEqual(bench.answerOf(run, new HeaderList(['x-ratelimit-limit', '7'])), { 'x-ratelimit-limit': '7' });
  });

  it('counts only what matches', async () => {
    const posts = { method: { kind: 'exact', value: 'POST' } } as const;
    const path = { path: { kind: 'path-prefix', value: '/api' } } as const;
    const bench = openBench([rule({ enforcement: local(1), matches: [posts, path] })]);
    assert.equal(await bench.passes({ method: 'GET', path: '/' }), true);
    assert.equal(await bench.passes({ method: 'POST', path: '/' }), true);
    assert.equal(await bench.passes({ method: 'GET', path: '/' }), true);
    assert.equal(await bench.passes({ method: 'GET', path: '/api/x' }), false);
  });

  it('has a bucket for each combination of values, and one for those without', async () => {
    const keys: RateLimitKey[] = [
      { kind: 'header', name: 'x-user', key: 'user' },
      { kind: 'query', name: 'q', key: 'q' },
      { kind: 'remote-ip', key: 'ip' },
      { kind: 'source-principal', key: 'principal' },
      { kind: 'source-namespace', key: 'namespace' },
      { kind: 'method', key: 'method' },
      { kind: 'path', key: 'path' },
      { kind: 'route', key: 'route' },
      { kind: 'value', key: 'v', value: 'x' },
      { kind: 'claim', path: ['sub'], key: 'sub' },
    ];
    const differing: RunOptions[] = [
      {},
      { headers: ['x-user', 'ann'] },
      { headers: ['x-user', 'bob'] },
      { path: '/?q=1' },
      { path: '/?q=2' },
      { remoteAddress: '203.0.113.1' },
      { connection: { sourceIdentity: undefined } },
      { method: 'PUT' },
      { path: '/other' },
      { route: { name: 'other' } },
      { headers: ['x-user', 'x'.repeat(10_000)] },
      { headers: ['x-user', `${'x'.repeat(9_999)}y`] },
    ];
    const bench = openBench([rule({ enforcement: local(1), by: keys })]);
    for (const request of differing) assert.equal(await bench.passes(request), true, JSON.stringify(request));
    for (const request of differing) assert.equal(await bench.passes(request), false, JSON.stringify(request));
    const run = runFor({});
    run.token = { issuer: 'i', subject: 's', audiences: [], presenter: '', claims: { sub: 's' } };
    assert.equal(await bench.filter.onRequest?.(run), undefined);
  });

  it('remembers no more of long values than what tells them apart', () => {
    const by: RateLimitKey[] = [{ kind: 'header', name: 'x-user', key: 'user' }];
    const limit = compileLimit('shop/limit', rule({ by }));
    const keyOf = (value: string): string => bucketKey(limit, new LimitSubject(runFor({ headers: ['x-user', value] })));
    assert.equal(keyOf('ann'), 'ann');
    assert.ok(keyOf('x'.repeat(60_000)).length <= 128);
    assert.notEqual(keyOf('x'.repeat(60_000)), keyOf('x'.repeat(60_001)));
    const two = compileLimit('shop/limit', rule({ by: [...by, { kind: 'query', name: 'q', key: 'q' }] }));
    const pairOf = (user: string, path: string): string =>
      bucketKey(two, new LimitSubject(runFor({ headers: ['x-user', user], path })));
    assert.notEqual(pairOf('a', '/?q=b%0Ac'), pairOf('a\tb', '/?q=c'));
  });

  it('takes nothing from other buckets for a request that one refuses', async () => {
    const bench = openBench([
      rule({ name: 'wide', enforcement: local(3) }),
      rule({ name: 'narrow', enforcement: local(1), by: [{ kind: 'header', name: 'x-user', key: 'user' }] }),
    ]);
    assert.equal(await bench.passes({ headers: ['x-user', 'ann'] }), true);
    for (let i = 0; i < 5; i++) assert.equal(await bench.passes({ headers: ['x-user', 'ann'] }), false);
    assert.equal(await bench.passes({ headers: ['x-user', 'bob'] }), true);
    assert.equal(await bench.passes({ headers: ['x-user', 'cid'] }), true);
    assert.equal(await bench.passes({ headers: ['x-user', 'dan'] }), false);
  });

  it('only tells what it would do when it is on trial', async () => {
    const bench = openBench([rule({ enforcement: local(1), dryRun: true })]);
    for (let i = 0; i < 3; i++) assert.equal(await bench.passes(), true);
    assert.deepEqual(bench.answerOf((await bench.ask()).run), {});
    assert.deepEqual(counted(bench), ['{policy="shop/limit",rule="all",result="dry_run"} 3']);
    assert.deepEqual(bench.log, [['dry-run rate limit would refuse', { policy: 'shop/limit', rule: 'all' }]]);
  });

  it('keeps its buckets over configurations that leave the rule as it was, and wherever the policy applies', async () => {
    const bench = openBench([rule({ enforcement: local(1) })]);
    assert.equal(await bench.passes(), true);
    const again = (limits: readonly RateLimitRule[]): FilterPlace => ({
      ...placeFor({ rateLimits: [policy(limits)] }),
      service: 'shop/other',
      services: bench.place.services,
    });
    const same = rateLimitFilter.build(again([rule({ enforcement: local(1), status: 503 })]));
    assert.equal((await same?.onRequest?.(runFor({})))?.status, 503);
    const wider = rateLimitFilter.build(again([rule({ enforcement: local(2) })]));
    assert.equal(await wider?.onRequest?.(runFor({})), undefined);
    // A policy that was gone begins anew.
    rateLimitFilter.build({
      ...placeFor({ rateLimits: [policy([rule()], 'shop/else')] }),
      services: bench.place.services,
    });
    const back = rateLimitFilter.build(again([rule({ enforcement: local(1) })]));
    assert.equal(await back?.onRequest?.(runFor({})), undefined);
  });
});

const verdict = (response: RateLimitResponseInit): ServedAnswer => {
  const message = writeRateLimitResponse(response);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return { status: 200, body: Buffer.concat([prefix, message]), trailers: { 'grpc-status': '0' } };
};
const ok = verdict({ overallCode: 1 });
const over = verdict({ overallCode: 2 });

describe('buckets that others take from as well', () => {
  it('refuse whom they looked full enough for a moment ago, and get back what was taken for nothing', () => {
    const clock = createFakeClock();
    const place = placeFor({ rateLimits: [policy([rule({ name: 'own' }), rule({ name: 'raced' })])] }, { clock });
    const own = new TokenBuckets({ burst: 2, tokens: 1, intervalMs: 1000 });
    const full = { remaining: 1, nextMs: 0, fullMs: 1000 };
    const empty = { remaining: 0, nextMs: 500, fullMs: 1000 };
    const raced: TokenStore = { level: () => (looks++ === 0 ? full : empty), take: () => undefined, giveBack() {} };
    let looks = 0;
    const services = { ...place.services, bucketsOf: (name: string) => (name.includes(' own ') ? own : raced) };
    const filter = rateLimitFilter.build({ ...place, services });
    const reply = filter?.onRequest?.(runFor({})) as LocalReply | undefined;
    assert.equal(reply?.status, 429);
    assert.match(reply?.reason ?? '', /"raced"/);
    assert.equal(reply?.headers?.get('retry-after'), '1');
    assert.equal(own.level('', clock.nowMs()).remaining, 2);
  });
});

describe('global rate limit', () => {
  it('asks once about all rules of a service that count the request', async () => {
    const bench = openBench(
      [
        rule({ name: 'a', enforcement: global(), by: [{ kind: 'header', name: 'x-user', key: 'user' }] }),
        rule({ name: 'b', enforcement: global(), matches: [{ method: { kind: 'exact', value: 'PUT' } }] }),
        rule({ name: 'c', enforcement: global(), by: [{ kind: 'value', key: 'k', value: 'v' }] }),
      ],
      () => ok,
    );
    assert.equal(await bench.passes({ headers: ['x-user', 'ann'] }), true);
    const [request, ...others] = bench.service.requests;
    assert.equal(others.length, 0);
    assert.equal(request?.head.path, '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit');
    assert.equal(request.head.authority, 'limits.shop.svc.cluster.local:8081');
    const { domain, descriptors } = readRateLimitRequest(request.body.subarray(5));
    assert.equal(domain, 'shop');
    assert.deepEqual(
      descriptors.map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`)),
      [['user=ann'], ['k=v']],
    );
  });

  it('asks nobody about a request that no rule counts', async () => {
    const bench = openBench([rule({ enforcement: global(), matches: [{ method: { kind: 'exact', value: 'PUT' } }] })]);
    assert.equal(await bench.passes(), true);
    assert.equal(bench.service.requests.length, 0);
  });

  it('refuses as the service says, with its fields and body', async () => {
    const bench = openBench(
      [rule({ name: 'a', enforcement: global() }), rule({ name: 'b', enforcement: global(), status: 503 })],
      () =>
        verdict({
          overallCode: 2,
          statuses: [
            { code: 1, currentLimit: { requestsPerUnit: 5, unit: 1 }, limitRemaining: 4 },
            {
              code: 2,
              currentLimit: { requestsPerUnit: 100, unit: 3 },
              limitRemaining: 0,
              durationUntilReset: { seconds: 61n, nanos: 0 },
            },
          ],
          responseHeadersToAdd: [{ key: 'x-plan', value: 'free' }],
          rawBody: Buffer.from('buy more'),
        }),
    );
    const { run, reply } = await bench.ask();
    assert.deepEqual(
      [reply?.status, String(reply?.body), reply?.flag, reply?.details],
      [503, 'buy more', 'RL', 'request_rate_limited'],
    );
    assert.equal(reply?.headers?.get('retry-after'), '61');
    assert.match(reply.reason, /rule "b"/);
    assert.deepEqual(bench.answerOf(run), {
      'x-plan': 'free',
      'x-ratelimit-limit': '100, 100;w=3600',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '61',
    });
  });

  it('adds the fields that the service wants upstream', async () => {
    const bench = openBench([rule({ enforcement: global() })], () =>
      verdict({ overallCode: 1, requestHeadersToAdd: [{ key: 'x-tier', value: 'gold' }] }),
    );
    const { run, reply } = await bench.ask();
    assert.equal(reply, undefined);
    assert.deepEqual(run.request.headers.fields, ['x-tier', 'gold']);
  });

  it('does what the rule says when the service does not answer, in time or at all', async () => {
    const failure = { kind: 'connect-failure', flag: 'UF', message: 'refused', sent: 'no' } as const;
    for (const answer of [{ status: 503 }, { failure }, verdict({ overallCode: 0 })] as const) {
      const closed = openBench([rule({ enforcement: global() })], () => answer);
      const { reply } = await closed.ask();
      assert.deepEqual([reply?.status, reply?.flag, reply?.details], [500, 'RLSE', 'rate_limiter_error']);
      assert.deepEqual(counted(closed), ['{policy="shop/limit",rule="all",result="error"} 1']);
      assert.equal(await openBench([rule({ enforcement: global({ failOpen: true }) })], () => answer).passes(), true);
    }
    const late = openBench([rule({ enforcement: global() })]);
    const asking = late.ask();
    await Promise.resolve();
    late.clock.advance(20);
    assert.match((await asking).reply?.reason ?? '', /no whole answer within 20 ms/);
  });

  it('says so when there is no service behind the provider', async () => {
    const bench = openBench([rule({ enforcement: global({ provider: 'gone' }) })]);
    assert.match((await bench.ask()).reply?.reason ?? '', /no rate limit service behind provider "gone"/);
  });

  it('does not ask when a bucket of its own has refused', async () => {
    const bench = openBench([rule({ enforcement: local(1) }), rule({ name: 'g', enforcement: global() })], () => ok);
    assert.equal(await bench.passes(), true);
    assert.equal(await bench.passes(), false);
    assert.equal(bench.service.requests.length, 1);
  });

  it('lets nobody wait for a trial', async () => {
    const bench = openBench([rule({ enforcement: global(), dryRun: true })], () => over);
    assert.equal(await bench.passes(), true);
    for (let i = 0; i < 20; i++) await Promise.resolve();
    assert.deepEqual(counted(bench), ['{policy="shop/limit",rule="all",result="dry_run"} 1']);
    const silent = openBench([rule({ enforcement: global(), dryRun: true })]);
    assert.equal(await silent.passes(), true);
  });

  it('gives the question up when the client is gone', async () => {
    const bench = openBench([rule({ enforcement: global() })]);
    const run = runFor({});
    const asking = bench.filter.onRequest?.(run);
    bench.filter.onFinish?.(run);
    assert.equal(await asking, undefined);
    assert.deepEqual(bench.service.resets, ['given up']);
    assert.equal(bench.clock.pending, 0);
  });
});
