import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpRule } from '../../api/l7/index.ts';
import { service, serviceEntry } from '../fixtures.ts';
import { grant, httpRoute, openGatewayWorld, webBackend, type HttpRouteRule } from './gateway-api-fixtures.ts';

const web = 'outbound|80||web.shop.svc.cluster.local';

/** The rules of one HTTPRoute that has these, and the faults that its status tells. */
function read(...rules: HttpRouteRule[]): { rules: readonly HttpRule[]; faults: string[]; message: string } {
  const world = openGatewayWorld();
  world.put(world.sources.services, service('web'), service('other'));
  world.put(world.sources.serviceEntries, serviceEntry('api'));
  world.put(world.sources.services, service('there', {}, { namespace: 'far' }));
  world.put(world.sources.httpRoutes, httpRoute('r', { rules }));
  const conditions = world.parents('HTTPRoute', 'r')[0]?.conditions ?? {};
  return {
    rules: world.rules('r'),
    faults: world.faults('HTTPRoute', 'r').filter((fault) => !fault.startsWith('ResolvedWaypoints')),
    message: (conditions['PartiallyInvalid'] ?? conditions['ResolvedRefs'])?.message ?? '',
  };
}

function readOne(rule: HttpRouteRule): HttpRule {
  const [first] = read({ backendRefs: [webBackend], ...rule }).rules;
  assert.ok(first);
  return first;
}

const targets = (rule: HttpRule | undefined): unknown =>
  rule?.action.kind === 'forward'
    ? rule.action.destinations.map(({ weight, target }) => [
        weight,
        target.kind === 'backend' ? target.backend : target.status,
      ])
    : rule?.action;

describe('the rules of an HTTPRoute', () => {
  it('match path, method, headers and query parameters', () => {
    const { matches } = readOne({
      matches: [
        {
          path: { type: 'Exact', value: '/a' },
          method: 'POST',
          headers: [
            { name: 'X-One', value: '1' },
            { name: 'x-one', value: 'ignored: the first of a name counts' },
            { name: 'X-Two', type: 'RegularExpression', value: '[0-9]+' },
          ],
          queryParams: [
            { name: 'Page', value: '2' },
            { name: 'sort', type: 'RegularExpression', value: 'up|down' },
          ],
        },
      ],
    });
    assert.deepEqual(matches, [
      {
        path: { kind: 'exact', value: '/a' },
        method: { kind: 'exact', value: 'POST' },
        headers: [
          { name: 'x-one', match: { kind: 'exact', value: '1' }, invert: false },
          { name: 'x-two', match: { kind: 'regex', value: '[0-9]+' }, invert: false },
        ],
        query: [
          { name: 'Page', match: { kind: 'exact', value: '2' }, invert: false },
          { name: 'sort', match: { kind: 'regex', value: 'up|down' }, invert: false },
        ],
      },
    ]);
  });

  it('are one for each match, named by route, rule and match', () => {
    const { rules } = read(
      { matches: [{ path: { value: '/a' } }, { path: { type: 'RegularExpression', value: '/b.*' } }] },
      { name: 'named', backendRefs: [webBackend] },
      { backendRefs: [webBackend] },
    );
    assert.deepEqual(
      rules.map(({ name, origin, matches }) => [name, origin.path, matches[0]?.path?.kind, matches.length]),
      [
        ['shop.r.0.0', 'spec.rules[0].matches[0]', 'path-prefix', 1],
        ['shop.r.0.1', 'spec.rules[0].matches[1]', 'regex', 1],
        ['shop.r.named', 'spec.rules[1]', 'path-prefix', 1],
        ['shop.r.2', 'spec.rules[2]', 'path-prefix', 1],
      ],
    );
  });

  it('that have an expression which is none are left out, and told', () => {
    const bad = { matches: [{ path: { type: 'RegularExpression' as const, value: '(' } }] };
    const some = read({ backendRefs: [webBackend] }, bad);
    assert.deepEqual(
      some.rules.map(({ name }) => name),
      ['shop.r.0'],
    );
    assert.deepEqual(some.faults, ['PartiallyInvalid=UnsupportedValue']);
    assert.match(some.message, /^Dropped Rule: spec\.rules\[1\]: Cannot compile the regular expression "\("/);
    const headers = [{ name: 'a', type: 'RegularExpression' as const, value: '[' }];
    const queryParams = [{ name: 'a', type: 'RegularExpression' as const, value: '*' }];
    const none = read(bad, { matches: [{ headers }] }, { matches: [{ queryParams }] });
    assert.deepEqual([none.rules, none.faults], [[], ['Accepted=UnsupportedValue']]);
  });

  it('change headers', () => {
    const change = { set: [{ name: 'A', value: '1' }], add: [{ name: 'B', value: '2' }], remove: ['C'] };
    const rule = readOne({
      filters: [
        { type: 'RequestHeaderModifier', requestHeaderModifier: change },
        { type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['Server'] } },
      ],
    });
    assert.deepEqual(rule.requestHeaders, { set: [['a', '1']], add: [['b', '2']], remove: ['c'] });
    assert.deepEqual(rule.responseHeaders, { set: [], add: [], remove: ['server'] });
  });

  it('redirect, and rewrite', () => {
    const redirected = (requestRedirect: object) =>
      readOne({ filters: [{ type: 'RequestRedirect', requestRedirect }] }).action;
    assert.deepEqual(redirected({ hostname: 'example.com' }), {
      kind: 'redirect',
      status: 302,
      hostname: 'example.com',
      port: 'from-request',
    });
    const path = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' };
    assert.deepEqual(redirected({ scheme: 'https', statusCode: 301, path }), {
      kind: 'redirect',
      status: 301,
      scheme: 'https',
      port: 'from-scheme',
      path: { kind: 'prefix', value: '/new', bySegments: true },
    });
    assert.deepEqual(redirected({ port: 8443, path: { type: 'ReplaceFullPath', replaceFullPath: '/all' } }), {
      kind: 'redirect',
      status: 302,
      port: 8443,
      path: { kind: 'full', value: '/all' },
    });
    const urlRewrite = { hostname: 'other.example', path: { type: 'ReplaceFullPath' as const, replaceFullPath: '/x' } };
    assert.deepEqual(readOne({ filters: [{ type: 'URLRewrite', urlRewrite }] }).action, {
      kind: 'forward',
      destinations: [{ weight: 1, target: { kind: 'backend', backend: web } }],
      rewrite: { authority: 'other.example', path: { kind: 'full', value: '/x' } },
    });
  });

  it('mirror all, some in a hundred, or a fraction', () => {
    const mirror = (more: object) => ({
      type: 'RequestMirror' as const,
      requestMirror: { backendRef: { name: 'other', port: 80 }, ...more },
    });
    const backend = 'outbound|80||other.shop.svc.cluster.local';
    const rule = readOne({
      filters: [mirror({}), mirror({ percent: 5 }), mirror({ fraction: { numerator: 1, denominator: 1000 } })],
    });
    assert.deepEqual(rule.mirrors, [
      { backend, percent: 100 },
      { backend, percent: 5 },
      { backend, percent: 0.1 },
    ]);
    const gone = read({
      backendRefs: [webBackend],
      filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'gone', port: 80 } } }],
    });
    assert.deepEqual([targets(gone.rules[0]), gone.rules[0]?.mirrors], [[[1, web]], undefined]);
    assert.deepEqual(gone.faults, ['ResolvedRefs=BackendNotFound']);
  });

  it('say who may use them from other origins', () => {
    const { cors } = readOne({
      filters: [
        {
          type: 'CORS',
          cors: {
            allowOrigins: ['https://a.example', 'https://*.b.example', '*'],
            allowMethods: ['GET', 'PUT'],
            allowHeaders: ['x-a'],
            exposeHeaders: ['x-b'],
            allowCredentials: true,
            maxAge: 60,
          },
        },
      ],
    });
    assert.deepEqual(cors, {
      allowOrigins: [
        { kind: 'exact', value: 'https://a.example' },
        { kind: 'regex', value: String.raw`https://[^/]+\.b\.example` },
        { kind: 'present' },
      ],
      allowMethods: ['GET', 'PUT'],
      allowHeaders: ['x-a'],
      exposeHeaders: ['x-b'],
      maxAgeSeconds: 60,
      allowCredentials: true,
      unmatchedPreflights: 'ignore',
    });
    const plain = readOne({ filters: [{ type: 'CORS', cors: { allowOrigins: ['*'] } }] }).cors;
    assert.deepEqual([plain?.maxAgeSeconds, plain?.allowCredentials], [5, false]);
  });

  it('answer with 500 where a filter is not supported, rather than go on without it', () => {
    const extension = { type: 'ExtensionRef' as const, extensionRef: { group: 'x', kind: 'Y', name: 'z' } };
    const one = read({ backendRefs: [webBackend], filters: [extension] });
    assert.deepEqual(one.rules[0]?.action, { kind: 'respond', status: 500 });
    assert.deepEqual(one.faults, ['ResolvedRefs=InvalidFilter']);
    assert.match(one.message, /^spec\.rules\[0\]\.filters\[0\]: filter ExtensionRef is not supported/);
    const backendRef = { name: 'web', port: 80 };
    const auth = read({ filters: [{ type: 'ExternalAuth', externalAuth: { protocol: 'HTTP', backendRef } }] });
    assert.deepEqual(auth.faults, ['ResolvedRefs=InvalidFilter']);
    const atBackend = read({ backendRefs: [{ ...webBackend, filters: [extension] }, webBackend] });
    assert.deepEqual(targets(atBackend.rules[0]), [
      [1, 500],
      [1, web],
    ]);
  });

  it('treat requests of one backend in a way of its own', () => {
    const { action } = readOne({
      backendRefs: [
        {
          ...webBackend,
          filters: [
            { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X', value: 'y' }] } },
            { type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['z'] } },
            { type: 'URLRewrite', urlRewrite: { hostname: 'inner' } },
          ],
        },
      ],
    });
    assert.deepEqual(action.kind === 'forward' && action.destinations, [
      {
        weight: 1,
        target: { kind: 'backend', backend: web },
        requestHeaders: { set: [['x', 'y']], add: [], remove: [] },
        responseHeaders: { set: [], add: [], remove: ['z'] },
        rewrite: { authority: 'inner' },
      },
    ]);
  });

  it('wait as long as they are told', () => {
    const retry = { attempts: 1 };
    const timeoutOf = (timeouts: HttpRouteRule['timeouts'], more: HttpRouteRule = {}) => {
      const rule = readOne({ ...(timeouts ? { timeouts } : {}), ...more });
      return [rule.timeoutMs, rule.retry?.perTryTimeoutMs];
    };
    assert.deepEqual(timeoutOf({ request: '1m30s' }), [90_000, undefined]);
    assert.deepEqual(timeoutOf({ backendRequest: '500ms' }), [500, undefined]);
    assert.deepEqual(timeoutOf({ request: '3s', backendRequest: '1s' }), [1000, undefined]);
    assert.deepEqual(timeoutOf({ request: '3s', backendRequest: '0s' }), [3000, undefined]);
    assert.deepEqual(timeoutOf({ request: '3s', backendRequest: '1s' }, { retry }), [3000, 1000]);
    assert.deepEqual(timeoutOf({ request: '0s' }), [undefined, undefined]);
    assert.deepEqual(timeoutOf(undefined), [undefined, undefined]);
  });

  it('are tried again as they are told', () => {
    assert.deepEqual(readOne({ retry: { codes: [503, 504], attempts: 4, backoff: '100ms' } }).retry, {
      attempts: 4,
      on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
      statusCodes: [503, 504],
      backoffBaseMs: 100,
      backoffMaxMs: 1000,
      avoidsPreviousHosts: true,
      remoteLocalities: false,
    });
    const plain = readOne({ retry: {} }).retry;
    assert.deepEqual(
      [plain?.attempts, plain?.backoffBaseMs, plain?.on.includes('retriable-status-codes')],
      [2, 25, false],
    );
    assert.equal(readOne({}).retry, undefined, 'nothing said: the default of the proxy');
  });

  it('keep sessions at an endpoint', () => {
    const session = (sessionPersistence: HttpRouteRule['sessionPersistence'], path?: string) =>
      readOne({
        ...(sessionPersistence ? { sessionPersistence } : {}),
        ...(path ? { matches: [{ path: { value: path } }] } : {}),
      }).sessionPersistence;
    assert.deepEqual(session({ sessionName: 'cart' }, '/cart'), {
      type: 'cookie',
      name: 'cart',
      path: '/cart',
      lifetime: 'session',
    });
    const cookieConfig = { lifetimeType: 'Permanent' as const };
    assert.deepEqual(session({ sessionName: 'cart', absoluteTimeout: '1h', cookieConfig }), {
      type: 'cookie',
      name: 'cart',
      absoluteTimeoutMs: 3_600_000,
      lifetime: 'permanent',
    });
    assert.deepEqual(session({ type: 'Header', sessionName: 'X-Cart' }), {
      type: 'header',
      name: 'X-Cart',
      lifetime: 'session',
    });
    const [one, other] = read(
      { backendRefs: [webBackend], sessionPersistence: {} },
      { backendRefs: [webBackend], sessionPersistence: {} },
    ).rules;
    assert.match(one?.sessionPersistence?.name ?? '', /^ambit-session-[0-9a-f]{8}$/);
    assert.notEqual(one?.sessionPersistence?.name, other?.sessionPersistence?.name);
  });
});

describe('the backends of an HTTPRoute', () => {
  const forward = (...backendRefs: NonNullable<HttpRouteRule['backendRefs']>) => read({ backendRefs });

  it('share requests by weight', () => {
    const other = { name: 'other', port: 80 };
    const { rules } = forward({ ...webBackend, weight: 9 }, { ...other, weight: 1 }, { ...other, weight: 0 });
    assert.deepEqual(targets(rules[0]), [
      [9, web],
      [1, 'outbound|80||other.shop.svc.cluster.local'],
    ]);
  });

  it('that are none, or all of weight 0, are answered for with 500', () => {
    assert.deepEqual(targets(forward().rules[0]), { kind: 'respond', status: 500 });
    assert.deepEqual(targets(forward({ ...webBackend, weight: 0 }).rules[0]), { kind: 'respond', status: 500 });
    assert.deepEqual(targets(read({}).rules[0]), { kind: 'respond', status: 500 });
  });

  it('that cannot be followed have their share answered with 500, and are told', () => {
    const cases: [Partial<NonNullable<HttpRouteRule['backendRefs']>[number]>, string, RegExp][] = [
      [{ name: 'gone' }, 'BackendNotFound', /backendRefs\[1\]: Service shop\/gone does not exist/],
      [{ port: 81 }, 'BackendNotFound', /has no TCP port 81/],
      [{ kind: 'Pod' }, 'InvalidKind', /Pod is no kind of backend/],
      [{ group: 'multicluster.x-k8s.io', kind: 'ServiceImport' }, 'InvalidKind', /ServiceImport\.multicluster/],
      [{ namespace: 'far', name: 'there' }, 'RefNotPermitted', /no ReferenceGrant/],
      [{ namespace: 'far', name: 'gone' }, 'RefNotPermitted', /no ReferenceGrant/],
      [{ group: 'networking.istio.io', kind: 'Hostname', name: 'nowhere.example' }, 'BackendNotFound', /no host/],
      [{ group: 'networking.istio.io', kind: 'Hostname', namespace: 'far' }, 'InvalidDestination', /namespace/],
    ];
    for (const [ref, reason, message] of cases) {
      const found = forward(webBackend, { ...webBackend, ...ref });
      assert.deepEqual(
        targets(found.rules[0]),
        [
          [1, web],
          [1, 500],
        ],
        reason,
      );
      assert.deepEqual(found.faults, [`ResolvedRefs=${reason}`]);
      assert.match(found.message, message);
    }
    assert.deepEqual(forward({ name: 'web' }).faults, ['ResolvedRefs=InvalidDestination'], 'a Service without a port');
  });

  it('may be a host of the namespace', () => {
    const host = { group: 'networking.istio.io', kind: 'Hostname', name: 'API.example.com', port: 443 };
    assert.deepEqual(targets(forward(host).rules[0]), [[1, 'outbound|443||api.example.com']]);
    const own = { ...host, name: 'web.shop.svc.cluster.local', port: 80 };
    assert.deepEqual(targets(forward(own).rules[0]), [[1, web]]);
    const foreign = { ...own, name: 'there.far.svc.cluster.local' };
    assert.deepEqual(forward(foreign).faults, ['ResolvedRefs=BackendNotFound']);
  });

  it('of another namespace need a grant there, which can be taken back', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'), service('there', {}, { namespace: 'far' }));
    const there = { name: 'there', namespace: 'far', port: 80 };
    world.put(world.sources.httpRoutes, httpRoute('r', { rules: [{ backendRefs: [there] }] }));
    const isGranted = (): boolean => !world.faults('HTTPRoute', 'r').includes('ResolvedRefs=RefNotPermitted');
    const from = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }];
    const to = [{ group: '', kind: 'Service' }];
    const tries = [
      [grant('far', { from, to }), true],
      [grant('far', { from, to: [{ ...to[0]!, name: 'there' }] }), true],
      [grant('far', { from, to: [{ ...to[0]!, name: 'else' }] }), false],
      [grant('far', { from, to: [{ group: '', kind: 'Secret' }] }), false],
      [grant('far', { from: [{ ...from[0]!, namespace: 'else' }], to }), false],
      [grant('far', { from: [{ ...from[0]!, kind: 'GRPCRoute' }], to }), false],
      [grant('shop', { from, to }), false],
    ] as const;
    for (const [object, expected] of tries) {
      world.put(world.sources.referenceGrants, object);
      assert.equal(isGranted(), expected, JSON.stringify(object.spec));
      world.remove(world.sources.referenceGrants, object);
      assert.equal(isGranted(), false);
    }
  });

  it('are followed again once they are there', () => {
    const world = openGatewayWorld();
    world.put(world.sources.httpRoutes, httpRoute('r', { rules: [{ backendRefs: [{ name: 'late', port: 80 }] }] }));
    assert.ok(world.faults('HTTPRoute', 'r').includes('ResolvedRefs=BackendNotFound'));
    world.put(world.sources.services, service('late'), service('web'));
    assert.ok(!world.faults('HTTPRoute', 'r').includes('ResolvedRefs=BackendNotFound'));
    assert.deepEqual(targets(world.rules('r')[0]), [[1, 'outbound|80||late.shop.svc.cluster.local']]);
  });
});
