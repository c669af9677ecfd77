import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpAuthorization, Provider } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import { createFakeClock, type FakeClock } from '../../../lib/fake-clock.ts';
import { readCheckRequest } from '../../../wire/policy-service-fixtures.ts';
import type { FilterPlace, HttpFilter, LiveTunnel, LocalReply } from '../../engine/filter.ts';
import type { UpstreamFailure } from '../../upstream/upstream.ts';
import { placeFor, runFor, type RunOptions, type TestRun } from '../filter-fixtures.ts';
import { openTestService, type ServedAnswer, type ServedRequest, type TestService } from '../service-fixture.ts';
import type { AuthorizerUse } from './authorizer.ts';
import {
  authorizerBackend as backend,
  authorizerProvider as provider,
  checkAnswer as grpcAnswer,
  customPolicy as policy,
} from './authorizer-fixtures.ts';
import { extAuthzFilter } from './filter.ts';

const onlyPosts: HttpAuthorization['rules'] = [
  {
    from: [],
    to: [
      [
        {
          attribute: { kind: 'method' },
          values: [{ kind: 'text', match: { kind: 'exact', value: 'POST' } }],
          notValues: [],
        },
      ],
    ],
    when: [],
  },
];

interface Bench {
  readonly place: FilterPlace;
  readonly filter: HttpFilter;
  readonly service: TestService;
  readonly clock: FakeClock;
  ask(request?: RunOptions): Promise<{ readonly run: TestRun; readonly reply: LocalReply | undefined }>;
  /** Fields that an answer of the application gets. */
  answerOf(run: TestRun): HeaderList;
}

function openBench(
  answer: (request: ServedRequest) => ServedAnswer,
  options: {
    readonly use?: Partial<AuthorizerUse>;
    readonly policies?: readonly HttpAuthorization[];
    readonly providers?: readonly Provider[];
  } = {},
): Bench {
  const clock = createFakeClock();
  const service = openTestService(answer);
  const place = placeFor(
    { authorization: options.policies ?? [policy()], providers: options.providers ?? [provider(options.use)] },
    { clock, upstreams: service.upstreams, backends: [backend] },
  );
  const filter = extAuthzFilter.build(place);
  assert.ok(filter);
  return {
    place,
    filter,
    service,
    clock,
    async ask(request = {}) {
      const run = runFor(request);
      const reply = await filter.onRequest?.(run);
      return { run, reply };
    },
    answerOf(run) {
      const head = { status: 200, headers: new HeaderList() };
      void filter.onResponse?.(run, head);
      return head.headers;
    },
  };
}

const counted = ({ place }: Bench): string[] =>
  place.services.metrics
    .write('text')
    .split('\n')
    .filter((line) => line.startsWith('ambit_ext_authz_checks_total{'))
    .map((line) => line.replace('ambit_ext_authz_checks_total', ''));

const headersOf = (list: HeaderList | undefined): Record<string, string> => Object.fromEntries(list ?? []);

const noHost: UpstreamFailure = { kind: 'no-healthy-host', flag: 'UH', message: 'no healthy host', sent: 'no' };
const goneAway: UpstreamFailure = { kind: 'refused', flag: 'UR', message: 'going away', sent: 'no' };

describe('external authorization', () => {
  it('asks whatever a rule says of tokens, which nobody has verified yet', async () => {
    const any = { kind: 'prefix', value: '' } as const;
    const anyone = { kind: 'principal', issuer: any, subject: any } as const;
    const tokens = { attribute: { kind: 'request-principal' }, values: [anyone], notValues: [] } as const;
    const values = [{ kind: 'text', match: { kind: 'exact', value: '/in' } }] as const;
    const rules = [
      { from: [[tokens]], to: [[{ attribute: { kind: 'path' }, values, notValues: [] } as const]], when: [] },
    ];
    const bench = openBench(() => ({ status: 403 }), { policies: [policy({ rules })] });
    assert.equal((await bench.ask({ path: '/in' })).reply?.status, 403);
    assert.equal((await bench.ask({ path: '/out' })).reply, undefined);
  });

  it('is not there without a CUSTOM policy', () => {
    assert.equal(extAuthzFilter.build(placeFor({ authorization: [policy({ action: 'deny' })] })), undefined);
  });

  it('asks about what the rules match, and lets the rest pass without a word', async () => {
    const bench = openBench(() => ({ status: 403 }), { policies: [policy({ rules: onlyPosts })] });
    assert.equal((await bench.ask({ method: 'GET' })).reply, undefined);
    assert.equal(bench.service.requests.length, 0);
    assert.equal((await bench.ask({ method: 'POST' })).reply?.status, 403);
    assert.deepEqual(counted(bench), ['{provider="authz",result="denied"} 1']);
  });

  it('denies what the rules match when the provider is unknown, of another kind or without a service', async () => {
    const cases: [Provider[], RegExp][] = [
      [[], /there is no provider "authz"/],
      [[{ kind: 'provider', name: 'authz', use: { kind: 'rate-limit' } }], /is no external authorizer/],
      [[{ ...provider(), backend: 'outbound|1||gone' }], /service of provider "authz" is not known/],
    ];
    for (const [providers, reason] of cases) {
      const bench = openBench(() => ({ status: 200 }), { providers, policies: [policy({ rules: onlyPosts })] });
      assert.equal((await bench.ask({ method: 'GET' })).reply, undefined);
      const { reply } = await bench.ask({ method: 'POST' });
      assert.equal(reply?.status, 403);
      assert.equal(reply.body, 'RBAC: access denied');
      assert.match(reply.reason, reason);
      assert.equal(bench.service.requests.length, 0);
    }
  });

  it('asks several providers, and all must allow', async () => {
    const bench = openBench((request) => ({ status: request.head.path.startsWith('/second') ? 403 : 200 }), {
      policies: [policy({ provider: 'first' }), policy({ name: 'shop/other', provider: 'second' })],
      providers: [provider({ pathPrefix: '/first' }, 'first'), provider({ pathPrefix: '/second' }, 'second')],
    });
    const { reply } = await bench.ask({ path: '/a' });
    assert.equal(reply?.reason, 'authorizer "second" denied it: it answered 403');
    assert.deepEqual(
      bench.service.requests.map(({ head }) => head.path),
      ['/first/a', '/second/a'],
    );
  });

  it('counts what a policy on trial would have asked, and asks nobody', async () => {
    const bench = openBench(() => ({ status: 403 }), { policies: [policy({ dryRun: true })] });
    assert.equal((await bench.ask()).reply, undefined);
    assert.equal(bench.service.requests.length, 0);
    assert.deepEqual(counted(bench), ['{provider="authz",result="dry_run"} 1']);
  });

  it('gives up an authorizer that takes too long, and one whose client is gone', async () => {
    const bench = openBench(() => 'never');
    const late = bench.ask();
    await Promise.resolve();
    bench.clock.advance(1000);
    const { reply } = await late;
    assert.deepEqual([reply?.status, reply?.flag, reply?.details], [403, 'UAEX', 'ext_authz_error']);
    assert.match(reply?.reason ?? '', /no whole answer within 1000 ms/);
    const run = runFor({});
    const filter = extAuthzFilter.build(bench.place);
    const asking = filter?.onRequest?.(run);
    filter?.onFinish?.(run);
    assert.equal(await asking, undefined);
    assert.deepEqual(bench.service.resets, ['timeout', 'given up']);
    assert.equal(bench.clock.pending, 0);
  });

  it('asks once more when a connection went away in that moment, and not when there is no host', async () => {
    const answers: ServedAnswer[] = [{ failure: goneAway }, { status: 200 }, { failure: noHost }, { status: 200 }];
    const bench = openBench(() => answers.shift() ?? 'never');
    assert.equal((await bench.ask()).reply, undefined);
    assert.match((await bench.ask()).reply?.reason ?? '', /no healthy host/);
    assert.equal(bench.service.requests.length, 3);
  });
});

describe('external authorization of tunnels that live', () => {
  const tunnelOf = (run: TestRun): LiveTunnel => ({
    connection: run.connection,
    remoteAddress: run.remoteAddress,
    request: run.request,
    arrived: { ...run.request, headers: run.request.headers.copy() },
    run,
  });
  const runOf = (headers: readonly string[] = []): TestRun => {
    const run = runFor({ path: '/chat', headers });
    run.request.upgrade = 'websocket';
    return run;
  };
  const review = async (bench: Bench, tunnel: LiveTunnel, signal = new AbortController().signal) =>
    await bench.filter.review?.(tunnel, signal);

  it('asks whom nobody has asked about them, with the request as it came', async () => {
    const bench = openBench(() => ({ status: 403 }));
    const tunnel = tunnelOf(runOf(['authorization', 'Bearer x']));
    tunnel.request.headers.remove('authorization');
    assert.deepEqual(await review(bench, tunnel), {
      status: 403,
      flag: 'UAEX',
      details: 'ext_authz_denied',
      reason: 'authorizer "authz" denied it: it answered 403',
    });
    assert.equal(bench.service.requests[0]?.head.headers.get('authorization'), 'Bearer x');
    assert.deepEqual(counted(bench), ['{provider="authz",result="denied"} 1']);
  });

  it('does not ask again whom it has asked, before or since', async () => {
    const bench = openBench(() => ({ status: 200 }));
    const first = runOf();
    assert.equal(await bench.filter.onRequest?.(first), undefined);
    assert.equal(await review(bench, tunnelOf(first)), undefined);
    assert.equal(bench.service.requests.length, 1);
    const second = tunnelOf(runOf());
    assert.equal(await review(bench, second), undefined);
    assert.equal(
      await review(
        openBench(() => ({ status: 403 })),
        second,
      ),
      undefined,
    );
    assert.equal(bench.service.requests.length, 2);
  });

  it('asks about what the rules match alone, and not where a policy is on trial', async () => {
    for (const policies of [[policy({ rules: onlyPosts })], [policy({ dryRun: true })]]) {
      const bench = openBench(() => ({ status: 403 }), { policies });
      assert.equal(await review(bench, tunnelOf(runOf())), undefined);
      assert.deepEqual(bench.service.requests, []);
    }
  });

  it('ends them when nobody can be asked, and when asking fails unless the provider says otherwise', async () => {
    const nobody = await review(
      openBench(() => ({ status: 200 }), { providers: [] }),
      tunnelOf(runOf()),
    );
    assert.match(nobody?.reason ?? '', /there is no provider "authz"/);
    const fails = () => openBench(() => ({ failure: noHost }));
    assert.match((await review(fails(), tunnelOf(runOf())))?.reason ?? '', /"authz" could not be asked/);
    const open = openBench(() => ({ failure: noHost }), { use: { failOpen: true } });
    assert.equal(await review(open, tunnelOf(runOf())), undefined);
  });

  it('gives up asking when they end', async () => {
    const bench = openBench(() => 'never');
    const gone = new AbortController();
    const pending = review(bench, tunnelOf(runOf()), gone.signal);
    gone.abort();
    assert.equal(await pending, undefined);
    assert.deepEqual(bench.service.resets, ['given up']);
    assert.deepEqual(counted(bench), []);
  });
});

describe('external authorization by HTTP', () => {
  it('asks with the request itself, without what nobody asked for', async () => {
    const bench = openBench(() => ({ status: 200 }), {
      use: {
        pathPrefix: '/check',
        includeHeaders: ['X-Ext-*', 'cookie'],
        addHeaders: [['X-From', 'mesh']],
      },
    });
    await bench.ask({
      method: 'PUT',
      authority: 'web.shop:8080',
      path: '/a?b=c',
      headers: ['authorization', 'Bearer x', 'x-ext-a', '1', 'x-other', '2', 'content-length', '5', 'x-from', 'client'],
      body: 'hello',
    });
    const [{ head, body }] = bench.service.requests as [ServedRequest];
    assert.deepEqual([head.method, head.authority, head.path], ['PUT', 'web.shop:8080', '/check/a?b=c']);
    assert.equal(head.headers.fields.join(' '), 'authorization Bearer x x-ext-a 1 x-from mesh content-length 0');
    assert.equal(body.length, 0);
  });

  it('sends as much of the body as is wanted', async () => {
    const body = { maxBytes: 4, allowPartial: true, packAsBytes: false };
    const bench = openBench(() => ({ status: 200 }), { use: { body } });
    await bench.ask({ method: 'POST', body: 'hello' });
    await bench.ask({ method: 'POST', body: 'hey' });
    assert.deepEqual(
      bench.service.requests.map((request) => [
        request.body.toString(),
        request.head.headers.get('x-envoy-auth-partial-body'),
        request.head.headers.get('content-length'),
      ]),
      [
        ['hell', 'true', '4'],
        ['hey', 'false', '3'],
      ],
    );
  });

  it('answers 413 to more body than it may send', async () => {
    const bench = openBench(() => ({ status: 200 }), {
      use: { body: { maxBytes: 4, allowPartial: false, packAsBytes: false } },
    });
    assert.equal((await bench.ask({ method: 'POST', body: 'hello' })).reply?.status, 413);
    assert.equal(bench.service.requests.length, 0);
  });

  it('lets 200 pass, with the fields for upstream and for the client', async () => {
    const answer = new HeaderList([
      'x-user',
      'ann',
      'x-group',
      'a',
      'x-group',
      'b',
      'x-hint',
      'h',
      'content-length',
      '0',
      'x-else',
      'e',
    ]);
    const bench = openBench(() => ({ status: 200, headers: answer }), {
      use: { headersToUpstreamOnAllow: ['x-user', 'x-gr*', '*-length'], headersToDownstreamOnAllow: ['x-hint'] },
    });
    const { run, reply } = await bench.ask({ headers: ['x-user', 'client', 'x-user', 'two', 'x-keep', 'k'] });
    assert.equal(reply, undefined);
    assert.equal(run.request.headers.fields.join(' '), 'x-user ann x-keep k x-group a x-group b');
    assert.equal(run.reroutes, 1);
    assert.deepEqual(bench.answerOf(run).fields, ['x-hint', 'h']);
    assert.equal((await openBench(() => ({ status: 200, headers: answer })).ask()).run.reroutes, 0);
  });

  it('passes a denial on: status, body and the fields that are for the client', async () => {
    const answer = {
      status: 401,
      headers: { 'www-authenticate': 'Basic', 'content-type': 'text/html', 'x-a': '1', server: 's' },
      body: 'no',
    };
    const all = (await openBench(() => answer).ask()).reply;
    assert.deepEqual(
      [all?.status, String(all?.body), all?.contentType, all?.flag, all?.details],
      [401, 'no', 'text/html', 'UAEX', 'ext_authz_denied'],
    );
    assert.deepEqual(headersOf(all?.headers), { 'www-authenticate': 'Basic', 'x-a': '1' });
    const chosen = (await openBench(() => answer, { use: { headersToDownstreamOnDeny: ['x-b'] } }).ask()).reply;
    assert.deepEqual(headersOf(chosen?.headers), { 'www-authenticate': 'Basic' });
  });

  it('denies on anything else but 200, and takes 5xx and failures for errors', async () => {
    const statuses = async (answer: ServedAnswer, use: Partial<AuthorizerUse>) =>
      (await openBench(() => answer, { use }).ask()).reply?.status;
    assert.equal(await statuses({ status: 204 }, { failOpen: true }), 204);
    assert.equal(await statuses({ status: 302 }, { failOpen: true }), 302);
    assert.equal(await statuses({ status: 500 }, { statusOnError: 503 }), 503);
    assert.equal(await statuses({ failure: noHost }, { statusOnError: 503 }), 503);
    assert.equal(await statuses({ status: 500 }, { failOpen: true }), undefined);
    assert.equal(await statuses({ failure: noHost }, { failOpen: true }), undefined);
  });

  it('does not open a tunnel to the authorizer', async () => {
    const bench = openBench(() => ({ status: 200 }));
    await bench.ask({ method: 'CONNECT', path: '' });
    assert.deepEqual(
      bench.service.requests.map(({ head }) => [head.method, head.path]),
      [['GET', '/']],
    );
  });
});

const grpc = { kind: 'ext-authz-grpc' } as const;

describe('external authorization by gRPC', () => {
  it('asks with all that is known of the request', async () => {
    const bench = openBench(() => grpcAnswer({ status: { code: 0 } }), {
      use: { ...grpc, body: { maxBytes: 100, allowPartial: true, packAsBytes: true } },
    });
    await bench.ask({
      method: 'POST',
      path: '/a?b',
      headers: ['cookie', 'a=1', 'cookie', 'b=2', 'x-a', '1', 'x-a', '2', 'content-length', '2'],
      body: 'hi',
      remoteAddress: '203.0.113.7',
    });
    const [{ head, body }] = bench.service.requests as [ServedRequest];
    assert.equal(head.path, '/envoy.service.auth.v3.Authorization/Check');
    assert.equal(head.authority, 'authz.shop.svc.cluster.local:9000');
    const { attributes } = readCheckRequest(body.subarray(5));
    assert.deepEqual(
      [attributes?.source, attributes?.destination].map((peer) => [
        peer?.address?.socketAddress?.address,
        peer?.address?.socketAddress?.portValue,
        peer?.principal,
      ]),
      [
        ['203.0.113.7', 0, 'spiffe://cluster.local/ns/web/sa/front'],
        ['10.96.0.9', 80, 'spiffe://cluster.local/ns/shop/sa/waypoint'],
      ],
    );
    const http = attributes?.request?.http;
    assert.deepEqual(
      [http?.method, http?.path, http?.host, http?.protocol, http?.size],
      ['POST', '/a?b', 'web.shop:80', 'HTTP/1.1', 2n],
    );
    assert.equal(http?.headers['cookie'], 'a=1; b=2');
    assert.equal(http.headers['x-a'], '1,2');
    assert.equal(http.headers['x-envoy-auth-partial-body'], 'false');
    assert.equal(Buffer.from(http.rawBody).toString(), 'hi');
  });

  it('changes fields and the query as the authorizer wants it, but nothing that frames the message', async () => {
    const bench = openBench(
      () =>
        grpcAnswer({
          httpResponse: {
            case: 'okResponse',
            value: {
              headers: [
                { header: { key: 'x-user', value: 'ann' } },
                { header: { key: 'content-length', value: '99' } },
              ],
              headersToRemove: ['x-secret'],
              responseHeadersToAdd: [{ header: { key: 'x-seen', value: '1' } }],
              queryParametersToSet: [{ key: 'who', value: 'a b' }],
              queryParametersToRemove: ['token'],
            },
          },
        }),
      { use: grpc },
    );
    const { run, reply } = await bench.ask({
      path: '/a?token=x&b=%20&who=z',
      headers: ['x-secret', 's', 'x-user', 'u'],
    });
    assert.equal(reply, undefined);
    assert.equal(run.request.path, '/a?b=%20&who=a%20b');
    assert.deepEqual(run.request.headers.fields, ['x-user', 'ann']);
    assert.equal(run.reroutes, 1);
    assert.deepEqual(bench.answerOf(run).fields, ['x-seen', '1']);
  });

  it('denies with 403, or as the authorizer says', async () => {
    const plain = (await openBench(() => grpcAnswer({ status: { code: 7, message: 'not you' } }), { use: grpc }).ask())
      .reply;
    assert.deepEqual([plain?.status, plain?.reason], [403, 'authorizer "authz" denied it: not you']);
    const redirected = (
      await openBench(
        () =>
          grpcAnswer({
            status: { code: 16 },
            httpResponse: {
              case: 'deniedResponse',
              value: { status: { code: 302 }, headers: [{ header: { key: 'Location', value: '/login' } }], body: 'go' },
            },
          }),
        { use: grpc },
      ).ask()
    ).reply;
    assert.deepEqual(
      [redirected?.status, redirected?.body, headersOf(redirected?.headers)],
      [302, 'go', { location: '/login' }],
    );
  });

  it('takes a failed call, an error and a message that is none for errors', async () => {
    const broken: ServedAnswer = {
      status: 200,
      body: Buffer.from([0, 0, 0, 0, 1, 0xff]),
      trailers: { 'grpc-status': '0' },
    };
    const injected = grpcAnswer({
      httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'a', value: 'b\r\nc: d' } }] } },
    });
    const answers: [ServedAnswer, RegExp][] = [
      [{ status: 200, trailers: { 'grpc-status': '13', 'grpc-message': 'boom' } }, /boom/],
      [{ status: 503 }, /HTTP status 503/],
      [grpcAnswer({ httpResponse: { case: 'errorResponse', value: { body: 'no database' } } }), /no database/],
      [broken, /not a valid message/],
      [injected, /forbidden characters/],
    ];
    for (const [answer, reason] of answers) {
      const { reply } = await openBench(() => answer, { use: { ...grpc, statusOnError: 500 } }).ask();
      assert.equal(reply?.status, 500);
      assert.match(reply.reason, reason);
      assert.equal((await openBench(() => answer, { use: { ...grpc, failOpen: true } }).ask()).reply, undefined);
    }
  });
});
