import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpAuthorization, Provider } from '../../../api/l7/index.ts';
import { createFakeClock, type FakeClock } from '../../../lib/fake-clock.ts';
import { readCheckRequest } from '../../../wire/policy-service-fixtures.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { DownstreamConnection } from '../../engine/http-run.ts';
import type { TcpFilter, TcpRefusal } from '../../engine/tcp-run.ts';
import type { UpstreamFailure } from '../../upstream/upstream.ts';
import { connectionFor, placeFor } from '../filter-fixtures.ts';
import { openTestService, type ServedAnswer, type ServedRequest, type TestService } from '../service-fixture.ts';
import { authorizerBackend, authorizerProvider, checkAnswer, customPolicy } from './authorizer-fixtures.ts';
import { extAuthzFilter } from './filter.ts';

const yes = checkAnswer({ status: { code: 0 } });
const no = checkAnswer({ status: { code: 7, message: 'not you' } });
const noHost: ServedAnswer = {
  failure: { kind: 'no-healthy-host', flag: 'UH', message: 'no healthy host', sent: 'no' } satisfies UpstreamFailure,
};
const byGrpc = { kind: 'ext-authz-grpc' } as const;

const fromNamespace = (namespace: string): HttpAuthorization['rules'] => [
  {
    from: [
      [
        {
          attribute: { kind: 'source-namespace' },
          values: [{ kind: 'text', match: { kind: 'exact', value: namespace } }],
          notValues: [],
        },
      ],
    ],
    to: [],
    when: [],
  },
];

interface Bench {
  readonly place: FilterPlace;
  readonly filter: TcpFilter;
  readonly service: TestService;
  readonly clock: FakeClock;
  readonly gone: AbortController;
  /** A new connection, or `connection` again. */
  decide(connection?: DownstreamConnection): Promise<TcpRefusal | undefined>;
}

function openBench(
  answer: (request: ServedRequest) => ServedAnswer,
  options: { readonly policies?: readonly HttpAuthorization[]; readonly providers?: readonly Provider[] } = {},
): Bench {
  const clock = createFakeClock();
  const service = openTestService(answer);
  const place = placeFor(
    {
      authorization: options.policies ?? [customPolicy()],
      providers: options.providers ?? [authorizerProvider(byGrpc)],
    },
    { clock, upstreams: service.upstreams, backends: [authorizerBackend] },
  );
  const filter = extAuthzFilter.buildTcp?.(place);
  assert.ok(filter);
  const gone = new AbortController();
  return {
    place,
    filter,
    service,
    clock,
    gone,
    decide: async (connection = connectionFor({}).connection) =>
      await filter.onConnection?.({ ...connectionFor({}), connection }, gone.signal),
  };
}

const counted = ({ place }: Bench): string[] =>
  place.services.metrics
    .write('text')
    .split('\n')
    .filter((line) => line.startsWith('ambit_ext_authz_checks_total{'))
    .map((line) => line.replace('ambit_ext_authz_checks_total', ''));

describe('external authorization of connections that are no HTTP', () => {
  it('is not there without a CUSTOM policy', () => {
    const deny = customPolicy({ action: 'deny' });
    assert.equal(extAuthzFilter.buildTcp?.(placeFor({ authorization: [deny] })), undefined);
  });

  it('tells the authorizer who is at the ends, and nothing of a request', async () => {
    const bench = openBench(() => yes);
    assert.equal(await bench.decide(connectionFor({ sni: 'db.example' }).connection), undefined);
    const [{ head, body }] = bench.service.requests as [ServedRequest];
    assert.equal(head.path, '/envoy.service.auth.v3.Authorization/Check');
    const { attributes } = readCheckRequest(body.subarray(5));
    assert.deepEqual(
      [attributes?.source, attributes?.destination].map((peer) => [
        peer?.address?.socketAddress?.address,
        peer?.address?.socketAddress?.portValue,
        peer?.principal,
      ]),
      [
        ['10.244.1.5', 40_000, 'spiffe://cluster.local/ns/web/sa/front'],
        ['10.96.0.9', 80, 'spiffe://cluster.local/ns/shop/sa/waypoint'],
      ],
    );
    assert.equal(attributes?.request, undefined);
    assert.equal(attributes?.tlsSession?.sni, 'db.example');
    assert.deepEqual(counted(bench), ['{provider="authz",result="allowed"} 1']);
  });

  it('refuses what the authorizer denies, and asks only about what the rules match', async () => {
    const asked = openBench(() => no, { policies: [customPolicy({ rules: fromNamespace('web') })] });
    assert.deepEqual(await asked.decide(), {
      flag: 'UAEX',
      details: 'ext_authz_denied',
      reason: 'authorizer "authz" denied it: not you',
    });
    assert.deepEqual(counted(asked), ['{provider="authz",result="denied"} 1']);
    const others = openBench(() => no, { policies: [customPolicy({ rules: fromNamespace('others') })] });
    assert.equal(await others.decide(), undefined);
    assert.deepEqual(others.service.requests, []);
  });

  it('refuses when the authorizer fails, unless the provider says otherwise', async () => {
    const closed = openBench(() => noHost);
    const refusal = await closed.decide();
    assert.deepEqual([refusal?.flag, refusal?.details], ['UAEX', 'ext_authz_error']);
    assert.match(refusal?.reason ?? '', /"authz" could not be asked: .*no healthy host/);
    assert.deepEqual(counted(closed), ['{provider="authz",result="error"} 1']);
    const open = openBench(() => noHost, { providers: [authorizerProvider({ ...byGrpc, failOpen: true })] });
    assert.equal(await open.decide(), undefined);
  });

  it('gives up an authorizer that takes too long, and one whose client is gone', async () => {
    const bench = openBench(() => 'never');
    const late = bench.decide();
    await Promise.resolve();
    bench.clock.advance(1000);
    assert.match((await late)?.reason ?? '', /no whole answer within 1000 ms/);
    const pending = bench.decide();
    bench.gone.abort();
    await pending;
    assert.deepEqual(bench.service.resets, ['timeout', 'given up']);
    assert.equal(bench.clock.pending, 0);
    assert.deepEqual(counted(bench), ['{provider="authz",result="error"} 1']);
  });

  it('refuses what nobody can be asked about, whatever failOpen says', async () => {
    const failOpen = true;
    const cases: [Provider[], RegExp][] = [
      [[authorizerProvider({ failOpen })], /shop\/ask asks an authorizer, but provider "authz" is asked by HTTP/],
      [[], /there is no provider "authz"/],
      [
        [{ ...authorizerProvider({ ...byGrpc, failOpen }), backend: 'gone' }],
        /service of provider "authz" is not known/,
      ],
    ];
    for (const [providers, reason] of cases) {
      const bench = openBench(() => yes, { providers });
      const refusal = await bench.decide();
      assert.match(refusal?.reason ?? '', reason);
      assert.deepEqual(
        [refusal?.flag, refusal?.details],
        ['UAEX', 'rbac_access_denied_matched_policy[ns[shop]-policy[ask]-rule[0]]'],
      );
      assert.deepEqual(bench.service.requests, []);
    }
  });

  it('asks several providers, and all must allow', async () => {
    const answers = [yes, no];
    const bench = openBench(() => answers.shift() ?? 'never', {
      policies: [customPolicy({ provider: 'first' }), customPolicy({ name: 'shop/other', provider: 'second' })],
      providers: [authorizerProvider(byGrpc, 'first'), authorizerProvider(byGrpc, 'second')],
    });
    assert.equal((await bench.decide())?.reason, 'authorizer "second" denied it: not you');
    assert.equal(bench.service.requests.length, 2);
  });

  it('counts what a policy on trial would have asked, and asks nobody', async () => {
    const bench = openBench(() => no, { policies: [customPolicy({ dryRun: true })] });
    assert.equal(await bench.decide(), undefined);
    assert.deepEqual(bench.service.requests, []);
    assert.deepEqual(counted(bench), ['{provider="authz",result="dry_run"} 1']);
  });

  it('asks about a connection that lives when a policy comes, but not again once it was allowed', async () => {
    const { connection } = connectionFor({});
    const { signal } = new AbortController();
    const first = openBench(() => yes);
    assert.equal(await first.decide(connection), undefined);
    const same = openBench(() => no);
    assert.equal(same.filter.review?.(connection, signal), undefined);
    assert.deepEqual(same.service.requests, []);
    const other = { policies: [customPolicy({ provider: 'other' })], providers: [authorizerProvider(byGrpc, 'other')] };
    const newer = openBench(() => no, other);
    assert.equal((await newer.filter.review?.(connection, signal))?.reason, 'authorizer "other" denied it: not you');
    // It was denied: whoever asks again is not told what was said before.
    const allowing = openBench(() => yes, other);
    assert.equal(await allowing.filter.review?.(connection, signal), undefined);
    assert.equal(allowing.service.requests.length, 1);
  });

  it('waits for an answer that is under way rather than asking twice', async () => {
    const bench = openBench(() => no);
    const { connection } = connectionFor({});
    const both = await Promise.all([
      bench.filter.review?.(connection, bench.gone.signal),
      bench.filter.review?.(connection, bench.gone.signal),
    ]);
    assert.deepEqual(
      both.map((refusal) => refusal?.details),
      ['ext_authz_denied', 'ext_authz_denied'],
    );
    assert.equal(bench.service.requests.length, 1);
    assert.deepEqual(counted(bench), ['{provider="authz",result="denied"} 1']);
  });
});
