import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpAction, HttpRule } from '../../api/l7/index.ts';
import { service, serviceEntry, waypoint } from '../fixtures.ts';
import { openShop, rulesOf, virtualService, type ProxyWorld } from './fixtures.ts';

const own = (name: string, port = 80): string => `inbound-vip|${port}|http|${name}.shop.svc.cluster.local`;
const world = (...specs: string[]): ProxyWorld => {
  const shop = openShop();
  shop.put(shop.sources.virtualServices, ...specs.map((spec, index) => virtualService(`vs-${index}`, spec)));
  return shop;
};
const verdict = (of: ProxyWorld, name = 'vs-0') =>
  of.statuses.rules.virtualServices.get(`Kubernetes/shop/${name}`)?.accepted;
/** Fields that the status speaks of. */
const problems = (of: ProxyWorld, name = 'vs-0'): string[] =>
  [...(verdict(of, name)?.message ?? '').matchAll(/(?:^|; )(?:without effect: )?(spec\.\S+): /g)].map(
    ([, path = '']) => path,
  );
const rules = (spec: string, name = 'reviews'): readonly HttpRule[] => rulesOf(world(spec), name);
const onlyRule = (spec: string): HttpRule => {
  const [rule, ...more] = rules(spec);
  assert.ok(rule && more.length === 0);
  return rule;
};
const targets = (action: HttpAction | undefined): (readonly [number, string])[] =>
  action?.kind === 'forward'
    ? action.destinations.map(({ weight, target }) => [
        weight,
        target.kind === 'backend' ? target.backend : `${target.status} ${target.reason}`,
      ])
    : [];

describe('a VirtualService at a waypoint', () => {
  it('leads by weight, to its own Services and to others', () => {
    const shop = world(`
hosts: [reviews]
http:
  - name: split
    timeout: 1500ms
    route:
      - { destination: { host: reviews }, weight: 3 }
      - { destination: { host: ratings.shop.svc.cluster.local, port: { number: 80 } }, weight: 1 }
      - { destination: { host: plain.elsewhere.svc.cluster.local }, weight: 6 }
      - { destination: { host: old, port: { number: 8080 } }, weight: 0 }
`);
    const [rule] = rulesOf(shop, 'reviews');
    assert.equal(rule?.name, 'split');
    assert.equal(rule.timeoutMs, 1500);
    assert.equal(rule.retry, undefined);
    assert.deepEqual(rule.origin, {
      kind: 'VirtualService',
      namespace: 'shop',
      name: 'vs-0',
      generation: 1,
      path: 'spec.http[0]',
    });
    assert.deepEqual(targets(rule.action), [
      [3, own('reviews')],
      [1, own('ratings')],
      [6, 'outbound|80||plain.elsewhere.svc.cluster.local'],
    ]);
    assert.deepEqual(problems(shop), []);
    assert.ok(shop.names('shop/wp').includes('backend/outbound|80||plain.elsewhere.svc.cluster.local'));
    assert.equal(rulesOf(shop, 'ratings')[0]?.name, 'default');
  });

  it('matches everything that can be matched', () => {
    const rule = onlyRule(`
hosts: [reviews]
http:
  - match:
      - uri: { prefix: /api }
        ignoreUriCase: true
        method: { exact: GET }
        scheme: { exact: https }
        authority: { regex: "a.*" }
        headers:
          X-User: { exact: jason }
          x-any: {}
          x-star: { regex: "*" }
          uri: { exact: /no }
          "@request.auth.claims.sub": { exact: me }
          "@request.auth.claims[a.b][c]": { prefix: x }
        withoutHeaders: { X-Bad: {}, x-worse: { prefix: y } }
        queryParams: { q: { exact: "1" }, present: {} }
        sourceNamespace: web
        statPrefix: s
      - uri: { exact: /exact }
      - uri: { regex: "/r.*" }
        ignoreUriCase: true
    route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(rule.matches, [
      {
        path: { kind: 'prefix', value: '/api', ignoreCase: true },
        method: { kind: 'exact', value: 'GET' },
        scheme: { kind: 'exact', value: 'https' },
        authority: { kind: 'regex', value: 'a.*' },
        headers: [
          { name: 'x-user', match: { kind: 'exact', value: 'jason' }, invert: false },
          { name: 'x-any', match: { kind: 'present' }, invert: false },
          { name: 'x-star', match: { kind: 'present' }, invert: false },
          { name: 'x-bad', match: { kind: 'present' }, invert: true },
          { name: 'x-worse', match: { kind: 'prefix', value: 'y' }, invert: true },
        ],
        query: [
          { name: 'present', match: { kind: 'present' }, invert: false },
          { name: 'q', match: { kind: 'exact', value: '1' }, invert: false },
        ],
        claims: [
          { path: ['sub'], match: { kind: 'exact', value: 'me' }, invert: false },
          { path: ['a.b', 'c'], match: { kind: 'prefix', value: 'x' }, invert: false },
        ],
        sourceNamespace: 'web',
      },
      { path: { kind: 'exact', value: '/exact' } },
      { path: { kind: 'regex', value: '/r.*' } },
    ]);
  });

  it('says what it cannot match, and leaves only that out', () => {
    const shop = world(`
hosts: [reviews]
http:
  - match:
      - { sourceLabels: { app: web } }
      - { uri: { prefix: /a }, statPrefix: s, headers: { uri: { exact: /no } } }
    route: [{ destination: { host: reviews } }]
  - match: [{ sourceLabels: { app: web } }]
    route: [{ destination: { host: ratings } }]
  - match: [{ uri: { regex: "(" } }]
    route: [{ destination: { host: ratings } }]
  - route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(
      rulesOf(shop, 'reviews').map(({ matches }) => matches),
      [[{ path: { kind: 'prefix', value: '/a' } }], []],
    );
    assert.deepEqual(problems(shop), [
      'spec.http[2].match[0].uri.regex',
      'spec.http[0].match[0].sourceLabels',
      'spec.http[1].match[0].sourceLabels',
      'spec.http[2].match[0]',
      'spec.http[0].match[1].statPrefix',
      'spec.http[0].match[1].headers[uri]',
    ]);
  });

  it('counts for the port that it names', () => {
    const shop = world(`
hosts: [old]
http:
  - { match: [{ port: 8080 }], fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }, route: [{ destination: { host: old } }] }
  - { match: [{ port: 9999 }], route: [{ destination: { host: reviews } }] }
tcp:
  - { match: [{ port: 9090, destinationSubnets: [10.0.0.0/8], sourceNamespace: web }], route: [{ destination: { host: ratings, port: { number: 80 } } }] }
`);
    const [rule, ...more] = rulesOf(shop, 'old', 8080);
    assert.equal(more.length, 0);
    assert.deepEqual(targets(rule?.action), [[1, own('old', 8080)]]);
    const tcp = shop.resource('shop/wp', 'routes', 'inbound-vip|9090|tcp|old.shop.svc.cluster.local');
    assert.deepEqual(tcp.tcp, [
      {
        name: 'shop.vs-0.tcp.0',
        origin: { kind: 'VirtualService', namespace: 'shop', name: 'vs-0', generation: 1, path: 'spec.tcp[0]' },
        destinationSubnets: ['10.0.0.0/8'],
        sourceNamespace: 'web',
        destinations: [
          { weight: 1, target: { kind: 'backend', backend: 'inbound-vip|80|tcp|ratings.shop.svc.cluster.local' } },
        ],
      },
    ]);
  });

  it('routes TLS by server name', () => {
    const shop = openShop();
    const labels = { 'istio.io/use-waypoint': 'wp' };
    shop.put(shop.sources.services, service('safe', { ports: [{ name: 'tls', port: 443 }] }, { labels }));
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'vs',
        `
hosts: [safe.shop.svc.cluster.local]
tls:
  - match:
      - { sniHosts: [Safe.shop.svc.cluster.local], port: 443 }
      - { sniHosts: [safe.shop.svc.cluster.local], sourceNamespace: x }
    route: [{ destination: { host: safe } }, { destination: { host: nowhere }, weight: 5 }]
`,
      ),
    );
    const table = shop.resource('shop/wp', 'routes', 'inbound-vip|443|tcp|safe.shop.svc.cluster.local');
    assert.deepEqual(
      table.tls.map(({ sniHosts, destinations }) => [sniHosts, destinations.map(({ target }) => target.kind)]),
      [[['safe.shop.svc.cluster.local'], ['invalid']]],
    );
    assert.deepEqual(table.tcp, []);
    assert.deepEqual(problems(shop, 'vs'), [
      'spec.tls[0].match[1].sourceNamespace',
      'spec.tls[0].route[1].destination.host',
    ]);
  });

  it('answers by itself: redirects and responses', () => {
    const found = rules(`
hosts: [reviews]
http:
  - { match: [{ uri: { exact: /a } }], redirect: { uri: /b, authority: other.example.com, scheme: https, redirectCode: 308 } }
  - { match: [{ uri: { prefix: /c } }], redirect: { prefixRewrite: /d, derivePort: FROM_REQUEST_PORT } }
  - { match: [{ uri: { exact: /e } }], redirect: { port: 8443, scheme: https } }
  - { match: [{ uri: { exact: /f } }], directResponse: { status: 503, body: { string: busy } }, headers: { response: { set: { x-a: b } } } }
  - { match: [{ uri: { exact: /g } }], directResponse: { status: 200, body: { bytes: eyJhIjoxfQ== } } }
  - { match: [{ uri: { exact: /h } }], directResponse: { status: 200, body: { bytes: //// } } }
`);
    assert.deepEqual(
      found.map(({ action }) => action),
      [
        {
          kind: 'redirect',
          status: 308,
          scheme: 'https',
          hostname: 'other.example.com',
          path: { kind: 'full', value: '/b' },
        },
        {
          kind: 'redirect',
          status: 301,
          port: 'from-request',
          path: { kind: 'prefix', value: '/d', bySegments: false },
        },
        { kind: 'redirect', status: 301, scheme: 'https', port: 8443 },
        { kind: 'respond', status: 503, body: 'busy' },
        { kind: 'respond', status: 200, body: '{"a":1}' },
        { kind: 'respond', status: 500 },
      ],
    );
    assert.deepEqual(found[3]?.responseHeaders, { set: [['x-a', 'b']], add: [], remove: [] });
  });

  it('rewrites what matched: a prefix, a whole path, an expression', () => {
    const found = rules(`
hosts: [reviews]
http:
  - match: [{ uri: { prefix: /a } }, { uri: { regex: "/b.*" } }, { uri: { exact: /c } }]
    rewrite: { uri: /new, authority: other }
    route: [{ destination: { host: reviews } }]
  - rewrite: { uriRegexRewrite: { match: "^/x/(.*)$", rewrite: "/y/\\\\1" } }
    route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(
      found.map(({ matches, action }) => [
        matches.map(({ path }) => path?.value),
        action.kind === 'forward' && action.rewrite,
      ]),
      [
        [['/a', '/c'], { authority: 'other', path: { kind: 'prefix', value: '/new', bySegments: false } }],
        [['/b.*'], { authority: 'other', path: { kind: 'full', value: '/new' } }],
        [[], { path: { kind: 'regex', pattern: '^/x/(.*)$', value: '/y/\\1' } }],
      ],
    );
  });

  it('retries as it says', () => {
    const rule = onlyRule(`
hosts: [reviews]
http:
  - retries:
      attempts: 4
      perTryTimeout: 2s
      retryOn: 5xx, reset,418
      backoff: 100ms
      retryRemoteLocalities: true
      retryIgnorePreviousHosts: false
    route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(rule.retry, {
      attempts: 4,
      perTryTimeoutMs: 2000,
      on: ['5xx', 'reset', 'retriable-status-codes'],
      statusCodes: [418],
      backoffBaseMs: 100,
      backoffMaxMs: 1000,
      avoidsPreviousHosts: false,
      remoteLocalities: true,
    });
    const off = onlyRule(
      '{ hosts: [reviews], http: [{ retries: { attempts: 0 }, route: [{ destination: { host: reviews } }] }] }',
    );
    assert.deepEqual([off.retry?.attempts, off.retry?.on], [0, []]);
  });

  it('injects faults, with a share or never', () => {
    const shop = world(`
hosts: [reviews]
http:
  - fault:
      delay: { fixedDelay: 5s, percentage: { value: 0.1 } }
      abort: { grpcStatus: UNAVAILABLE, percentage: { value: 50 } }
    route: [{ destination: { host: reviews } }]
    match: [{ method: { exact: GET } }]
  - fault: { abort: { httpStatus: 500 } }
    route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(
      rulesOf(shop, 'reviews').map(({ fault }) => fault),
      [
        { delay: { ms: 5000, percent: 0.1 }, abort: { percent: 50, grpcStatus: 14 } },
        { abort: { percent: 0, httpStatus: 500 } },
      ],
    );
    assert.deepEqual(problems(shop), ['spec.http[1].fault.abort']);
    assert.equal(verdict(shop)?.status, 'True');
  });

  it('mirrors, to one place or several', () => {
    const found = rules(`
hosts: [reviews]
http:
  - { match: [{ uri: { exact: /a } }], mirror: { host: ratings }, route: [{ destination: { host: reviews } }] }
  - { match: [{ uri: { exact: /b } }], mirror: { host: ratings }, mirrorPercentage: { value: 1.5 }, route: [{ destination: { host: reviews } }] }
  - match: [{ uri: { exact: /c } }]
    mirrors: [{ destination: { host: ratings }, percentage: { value: 10 } }, { destination: { host: old, port: { number: 8080 } } }, { destination: { host: nowhere } }]
    route: [{ destination: { host: reviews } }]
  - { mirror: { host: ratings }, mirrorPercentage: { value: 0 }, route: [{ destination: { host: reviews } }] }
`);
    assert.deepEqual(
      found.map(({ mirrors }) => mirrors),
      [
        [{ backend: own('ratings'), percent: 100 }],
        [{ backend: own('ratings'), percent: 1.5 }],
        [
          { backend: own('ratings'), percent: 10 },
          { backend: own('old', 8080), percent: 100 },
        ],
        undefined,
      ],
    );
  });

  it('allows other origins', () => {
    const rule = onlyRule(`
hosts: [reviews]
http:
  - corsPolicy:
      allowOrigins: [{ exact: "*" }, { prefix: https://a }, { regex: "https://b.*" }]
      allowMethods: [GET]
      allowHeaders: [x-a]
      exposeHeaders: [x-b]
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
    route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(rule.cors, {
      allowOrigins: [
        { kind: 'present' },
        { kind: 'prefix', value: 'https://a' },
        { kind: 'regex', value: 'https://b.*' },
      ],
      allowMethods: ['GET'],
      allowHeaders: ['x-a'],
      exposeHeaders: ['x-b'],
      maxAgeSeconds: 86_400,
      allowCredentials: true,
      unmatchedPreflights: 'ignore',
    });
  });

  it('changes headers of the route and of a destination', () => {
    const rule = onlyRule(`
hosts: [reviews]
http:
  - headers:
      request: { set: { X-B: "%DOWNSTREAM_REMOTE_ADDRESS%", X-A: "100%%" }, add: { X-C: c }, remove: [X-D, Host, ":path"] }
      response: { remove: [server] }
    route:
      - { destination: { host: reviews }, headers: { request: { set: { Host: other } } } }
`);
    assert.deepEqual(rule.requestHeaders, {
      set: [
        ['x-a', '100%%'],
        ['x-b', '%DOWNSTREAM_REMOTE_ADDRESS%'],
      ],
      add: [['x-c', 'c']],
      remove: ['x-d'],
    });
    assert.deepEqual(rule.responseHeaders, { set: [], add: [], remove: ['server'] });
    const [destination] = rule.action.kind === 'forward' ? rule.action.destinations : [];
    assert.deepEqual(destination?.requestHeaders, { set: [['host', 'other']], add: [], remove: [] });
  });

  it('says which commands and causes nobody knows', () => {
    const shop = world(`
hosts: [reviews]
http:
  - retries: { attempts: 1, retryOn: "5xx,http3-post-connect-failure" }
    headers: { request: { set: { a: "%REQ(x)% %PROTOCOL% 50%% %REQ(x):5%", b: "%CEL(x)%" } } }
    route: [{ destination: { host: reviews }, headers: { response: { add: { c: "%BYTES_SENT%" } } } }]
`);
    assert.deepEqual(problems(shop), [
      'spec.http[0].route[0].headers.response.add[c]',
      'spec.http[0].headers.request.set[a]',
      'spec.http[0].headers.request.set[b]',
      'spec.http[0].retries.retryOn',
    ]);
  });

  it('answers 503 for destinations that are not there, and says which', () => {
    const shop = world(`
hosts: [reviews, nobody]
http:
  - match: [{ uri: { prefix: /a } }]
    route:
      - { destination: { host: nowhere }, weight: 1 }
      - { destination: { host: old, port: { number: 81 } }, weight: 1 }
      - { destination: { host: reviews, subset: v9 }, weight: 1 }
  - route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(targets(rulesOf(shop, 'reviews')[0]?.action), [
      [1, '503 host nowhere.shop.svc.cluster.local is not known'],
      [1, '503 host old.shop.svc.cluster.local has no port 81'],
      [1, '503 no DestinationRule has subset v9 of host reviews.shop.svc.cluster.local'],
    ]);
    assert.deepEqual(targets(rulesOf(shop, 'reviews')[1]?.action), [[1, own('reviews')]]);
    assert.deepEqual(problems(shop), [
      'spec.hosts[1]',
      'spec.http[0].route[0].destination.host',
      'spec.http[0].route[1].destination.port',
      'spec.http[0].route[2].destination.subset',
    ]);
    shop.put(shop.sources.services, service('nowhere'));
    assert.deepEqual(targets(rulesOf(shop, 'reviews')[0]?.action)[0], [
      1,
      'outbound|80||nowhere.shop.svc.cluster.local',
    ]);
  });

  it('answers 500 for a route that no proxy would take, and leaves the others alone', () => {
    const shop = world(`
hosts: [reviews]
http:
  - match: [{ uri: { prefix: /a } }]
    directResponse: { status: 9999 }
  - match: [{ uri: { prefix: /b } }]
    rewrite: { uriRegexRewrite: { match: "(", rewrite: x } }
    route: [{ destination: { host: reviews } }]
  - route: [{ destination: { host: reviews } }]
`);
    assert.deepEqual(
      rulesOf(shop, 'reviews').map(({ matches, action }) => [
        matches[0]?.path?.value,
        action.kind === 'respond' ? action.status : action.kind,
      ]),
      [
        ['/a', 500],
        ['/b', 500],
        [undefined, 'forward'],
      ],
    );
    assert.match(verdict(shop)?.message ?? '', /spec\.http\[0\]: .*9999.* is answered with 500/);
  });

  it('delegates: matches together, the fields of the delegate win', () => {
    const shop = openShop();
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'root',
        `
hosts: [reviews]
http:
  - name: root
    match: [{ uri: { prefix: /api }, headers: { x: { exact: y } } }]
    delegate: { name: leaf, namespace: team }
    timeout: 5s
    mirror: { host: ratings }
    headers: { request: { set: { a: root } } }
  - delegate: { name: none }
  - route: [{ destination: { host: reviews } }]
`,
      ),
      virtualService(
        'leaf',
        `
http:
  - name: leaf
    match: [{ uri: { prefix: /api/v1 } }, { method: { exact: GET } }]
    route: [{ destination: { host: ratings.shop.svc.cluster.local } }]
    headers: { request: { set: { a: leaf } } }
  - match: [{ uri: { prefix: /other } }]
    route: [{ destination: { host: reviews.shop.svc.cluster.local } }]
  - route: [{ destination: { host: mine } }]
`,
        { namespace: 'team' },
      ),
    );
    const [first, second, last] = rulesOf(shop, 'reviews');
    assert.equal(first?.name, 'root-leaf');
    const leaf = () => shop.statuses.rules.virtualServices.get('Kubernetes/team/leaf')?.accepted;
    assert.deepEqual(leaf(), { status: 'True', reason: 'Accepted', message: 'a delegate of shop/root' });
    const header = [{ name: 'x', match: { kind: 'exact', value: 'y' }, invert: false }];
    assert.deepEqual(first.matches, [
      { path: { kind: 'prefix', value: '/api/v1' }, headers: header },
      { path: { kind: 'prefix', value: '/api' }, method: { kind: 'exact', value: 'GET' }, headers: header },
    ]);
    assert.equal(first.timeoutMs, 5000);
    assert.deepEqual(first.requestHeaders?.set, [['a', 'leaf']]);
    assert.deepEqual(first.mirrors, [{ backend: own('ratings'), percent: 100 }]);
    assert.deepEqual([first.origin.namespace, first.origin.name, first.origin.path], ['team', 'leaf', 'spec.http[0]']);
    // A short name in a delegate is of the delegate's namespace.
    assert.deepEqual(targets(second?.action), [[1, '503 host mine.team.svc.cluster.local is not known']]);
    assert.deepEqual(targets(last?.action), [[1, own('reviews')]]);
    assert.deepEqual(problems(shop, 'root'), [
      'spec.http[0].delegate(team/leaf).spec.http[1]',
      'spec.http[1].delegate',
      'spec.http[0].delegate(team/leaf).spec.http[2].route[0].destination.host',
    ]);
  });

  it('follows older ones, ends at a rule that takes everything, and gives way to a name as a wildcard', () => {
    const shop = openShop();
    const to = (uri: string, host: string): string =>
      `{ match: [{ uri: { prefix: ${uri} } }], route: [{ destination: { host: ${host} } }] }`;
    const at = (name: string, createdAt: string, hosts: string, http: string) =>
      virtualService(name, `{ hosts: [${hosts}], http: [${http}] }`, { creationTimestamp: createdAt });
    shop.put(
      shop.sources.virtualServices,
      at('a', '2025-01-02T00:00:00Z', 'reviews', to('/young', 'reviews')),
      at('b', '2025-01-01T00:00:00Z', 'reviews', to('/old', 'ratings')),
      at('c', '2025-01-03T00:00:00Z', 'reviews', `${to('/', 'reviews')}, ${to('/never', 'reviews')}`),
      at('d', '2024-01-01T00:00:00Z', '"*.shop.svc.cluster.local"', to('/wild', 'reviews')),
    );
    const paths = (name: string): (string | undefined)[] =>
      rulesOf(shop, name).map(({ matches }) => matches[0]?.path?.value);
    assert.deepEqual(paths('reviews'), ['/old', '/young', '/']);
    assert.deepEqual(paths('ratings'), ['/wild']);
  });

  it("is heard from the Service's namespace and the waypoint's alone, and for clients inside the mesh", () => {
    const shop = openShop();
    const spec =
      '{ hosts: [reviews.shop.svc.cluster.local], http: [{ name: mine, route: [{ destination: { host: reviews.shop.svc.cluster.local } }] }] }';
    shop.put(shop.sources.virtualServices, virtualService('vs', spec, { namespace: 'other' }));
    assert.equal(rulesOf(shop, 'reviews')[0]?.name, 'default');
    shop.put(shop.sources.virtualServices, virtualService('vs', spec.replace('{', '{ gateways: [my-gateway], ')));
    assert.equal(rulesOf(shop, 'reviews')[0]?.name, 'default');
    assert.match(verdict(shop, 'vs')?.message ?? '', /^spec.gateways: .* \(my-gateway\)/);
    shop.put(shop.sources.virtualServices, virtualService('vs', spec.replace('{', '{ gateways: [my-gateway, mesh], ')));
    assert.equal(rulesOf(shop, 'reviews')[0]?.name, 'mine');
    // The waypoint of another namespace hears its own.
    shop.put(shop.sources.gateways, waypoint('central', { namespace: 'other', from: 'All' }));
    const labels = { 'istio.io/use-waypoint': 'central', 'istio.io/use-waypoint-namespace': 'other' };
    shop.put(shop.sources.services, service('reviews', {}, { labels }));
    const name = 'inbound-vip|80|http|reviews.shop.svc.cluster.local';
    assert.equal(shop.resource('other/central', 'routes', name).hosts[0]?.rules[0]?.name, 'mine');
  });

  it('routes single names under the wildcard of a ServiceEntry', () => {
    const shop = openShop();
    const spec = { hosts: ['*.example.com'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] };
    shop.put(shop.sources.serviceEntries, serviceEntry('all', spec, { labels: { 'istio.io/use-waypoint': 'wp' } }));
    const to = (host: string): string => `http: [{ name: ${host}, route: [{ destination: { host: ${host} } }] }]`;
    shop.put(
      shop.sources.virtualServices,
      virtualService('a', `{ hosts: [a.example.com, b.example.com], ${to('a.example.com')} }`),
      virtualService('all', `{ hosts: ["*.example.com"], ${to('ratings')} }`),
    );
    const table = shop.resource('shop/wp', 'routes', 'inbound-vip|80|http|*.example.com');
    assert.deepEqual(
      table.hosts.map(({ domains, rules }) => [
        domains,
        rules.map(({ name, action }) => [name, targets(action)[0]?.[1]]),
      ]),
      [
        [['a.example.com'], [['a.example.com', 'inbound-vip|80|http|*.example.com']]],
        [['b.example.com'], [['a.example.com', 'inbound-vip|80|http|*.example.com']]],
        [['*.example.com'], [['ratings', own('ratings')]]],
      ],
    );
    assert.equal(verdict(shop, 'a')?.message, 'bound to shop/wp');
  });

  it('routes hosts of ServiceEntries', () => {
    const shop = openShop();
    const spec = { hosts: ['api.example.com'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] };
    shop.put(
      shop.sources.serviceEntries,
      serviceEntry('api', { ...spec, resolution: 'DNS' }, { labels: { 'istio.io/use-waypoint': 'wp' } }),
    );
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'vs',
        '{ hosts: [api.example.com], http: [{ name: api, route: [{ destination: { host: api.example.com } }] }] }',
      ),
    );
    const table = shop.resource('shop/wp', 'routes', 'inbound-vip|80|http|api.example.com');
    assert.equal(table.hosts[0]?.rules[0]?.name, 'api');
  });
});
