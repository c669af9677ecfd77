import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import type { Secret } from '../../api/core.ts';
import type { Backend } from '../../api/l7/index.ts';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { openOpensslRoot } from '../../../test/support/openssl-authority.ts';
import { pod, service, serviceEntry, waypoint, workloadEntry, type WorldOptions } from '../fixtures.ts';
import { destinationRule, openShop, rulesOf, virtualService, type ProxyWorld } from './fixtures.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;
const reviews = 'reviews.shop.svc.cluster.local';
const labels = { 'istio.io/use-waypoint': 'wp' };

function world(...specs: string[]): ProxyWorld {
  const shop = openShop();
  shop.put(shop.sources.destinationRules, ...specs.map((spec, index) => destinationRule(`dr-${index}`, spec)));
  return shop;
}
function backend(of: ProxyWorld, name = `inbound-vip|80|http|${reviews}`, gateway = 'shop/wp'): Backend {
  return of.resource(gateway, 'backend', name);
}
const shaped = (policy: string): Backend => backend(world(`{ host: reviews, trafficPolicy: ${policy} }`));
const verdict = (of: ProxyWorld, name = 'dr-0') =>
  of.statuses.rules.destinationRules.get(`Kubernetes/shop/${name}`)?.accepted;
const told = (of: ProxyWorld, name?: string): string => {
  const { status, reason, message } = verdict(of, name) ?? {};
  return `${status} ${reason} ${message}`;
};

describe('a DestinationRule at a waypoint', () => {
  it('chooses how endpoints are chosen', () => {
    const of = (balancer: string) => shaped(`{ loadBalancer: ${balancer} }`).loadBalancer;
    assert.deepEqual(of('{ simple: ROUND_ROBIN }'), { kind: 'round-robin' });
    assert.deepEqual(of('{ simple: LEAST_CONN }'), { kind: 'least-request' });
    assert.deepEqual(of('{ simple: RANDOM }'), { kind: 'random' });
    assert.deepEqual(of('{ simple: PASSTHROUGH }'), { kind: 'passthrough' });
    assert.deepEqual(of('{ simple: ROUND_ROBIN, warmup: { duration: 30s, aggression: 2 } }'), {
      kind: 'round-robin',
      warmup: { durationMs: 30_000, minimumPercent: 10, aggression: 2 },
    });
    assert.deepEqual(of('{ warmupDurationSecs: 5s }'), {
      kind: 'least-request',
      warmup: { durationMs: 5000, minimumPercent: 10, aggression: 1 },
    });
    const hashed = (hash: string) => of(`{ consistentHash: ${hash} }`);
    const table = { kind: 'ring', minimumSize: 1024 };
    assert.deepEqual(hashed('{ httpHeaderName: X-User }'), {
      kind: 'consistent-hash',
      on: { kind: 'header', name: 'x-user' },
      table,
    });
    assert.deepEqual(hashed('{ useSourceIp: true, ringHash: { minimumRingSize: 10 } }'), {
      kind: 'consistent-hash',
      on: { kind: 'source-ip' },
      table: { kind: 'ring', minimumSize: 10 },
    });
    assert.deepEqual(hashed('{ httpQueryParameterName: q, maglev: {} }'), {
      kind: 'consistent-hash',
      on: { kind: 'query', name: 'q' },
      table: { kind: 'maglev', tableSize: 65_537 },
    });
    assert.deepEqual(hashed('{ httpCookie: { name: c, path: /p, ttl: 0s }, minimumRingSize: 8 }'), {
      kind: 'consistent-hash',
      on: { kind: 'cookie', name: 'c', path: '/p', ttlSeconds: 0 },
      table: { kind: 'ring', minimumSize: 8 },
    });
  });

  it('limits connections and requests', () => {
    const shop = world(`
host: reviews
trafficPolicy:
  connectionPool:
    tcp:
      maxConnections: 10
      connectTimeout: 2s
      maxConnectionDuration: 1h
      idleTimeout: 7s
      tcpKeepalive: { time: 60s, interval: 5s, probes: 4 }
    http:
      http1MaxPendingRequests: 1
      http2MaxRequests: 2
      maxRequestsPerConnection: 3
      maxRetries: 4
      idleTimeout: 0s
      maxConcurrentStreams: 5
      h2UpgradePolicy: UPGRADE
  retryBudget: { percent: 30, budgetInterval: 1s }
  proxyProtocol: { version: V2 }
`);
    const found = backend(shop);
    assert.deepEqual(found.connectionPool, {
      maxConnections: 10,
      connectTimeoutMs: 2000,
      maxConnectionDurationMs: 3_600_000,
      tcpKeepalive: { timeMs: 60_000, intervalMs: 5000, probes: 4 },
      maxPendingRequests: 1,
      maxRequests: 2,
      maxRequestsPerConnection: 3,
      maxRetries: 4,
      maxConcurrentStreams: 5,
      idleTimeoutMs: 0,
    });
    assert.equal(found.protocol, 'http2');
    assert.deepEqual(found.retryBudget, { percent: 30, minConcurrency: 3, intervalMs: 1000 });
    assert.equal(found.proxyProtocol, 'v2');
    assert.deepEqual(found.origin, { kind: 'DestinationRule', namespace: 'shop', name: 'dr-0', generation: 1 });
    const none = shaped('{ connectionPool: { http: { maxRequestsPerConnection: 0, useClientProtocol: true } } }');
    assert.deepEqual(none.connectionPool, { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000 });
    assert.equal(none.protocol, 'auto');
  });

  it('leaves out endpoints that fail', () => {
    assert.deepEqual(shaped('{ outlierDetection: {} }').outlierDetection, {
      consecutive5xx: 5,
      consecutiveGatewayErrors: 0,
      consecutiveLocalOriginFailures: 0,
      splitsLocalOrigin: false,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionPercent: 10,
      minHealthPercent: 0,
    });
    const said =
      '{ consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, interval: 1s, baseEjectionTime: 1m, maxEjectionPercent: 100, minHealthPercent: 50 }';
    assert.deepEqual(shaped(`{ outlierDetection: ${said} }`).outlierDetection, {
      consecutive5xx: 0,
      consecutiveGatewayErrors: 3,
      consecutiveLocalOriginFailures: 5,
      splitsLocalOrigin: true,
      intervalMs: 1000,
      baseEjectionMs: 60_000,
      maxEjectionPercent: 100,
      minHealthPercent: 50,
    });
  });

  it('has the say on locality, before the Service and the mesh', () => {
    const distribute = '[{ from: eu/*, to: { us/*: 20, eu/*: 80 } }]';
    assert.deepEqual(shaped(`{ loadBalancer: { localityLbSetting: { distribute: ${distribute} } } }`).locality, {
      enabled: true,
      distribute: [
        {
          from: 'eu/*',
          to: [
            { locality: 'eu/*', weight: 80 },
            { locality: 'us/*', weight: 20 },
          ],
        },
      ],
      failover: [],
      forced: false,
    });
    const near = world();
    near.put(near.sources.services, service('reviews', { trafficDistribution: 'PreferClose' }, { labels }));
    assert.deepEqual([backend(near).locality.enabled, backend(near).locality.forced], [true, true]);
    near.configureMesh({ localityLbSetting: { enabled: false } });
    assert.deepEqual([backend(near).locality.enabled, backend(near).locality.forced], [true, true]);
    near.put(near.sources.services, service('reviews', {}, { labels }));
    assert.deepEqual([backend(near).locality.enabled, backend(near).locality.forced], [false, false]);
    near.configureMesh({ localityLbSetting: { failoverPriority: ['topology.istio.io/network'] } });
    assert.deepEqual(backend(near).locality.failoverPriority, [{ kind: 'place', scope: 'network' }]);
    const failover = destinationRule(
      'dr',
      '{ host: reviews, trafficPolicy: { loadBalancer: { localityLbSetting: { failover: [{ from: eu, to: us }] } } } }',
    );
    near.put(near.sources.destinationRules, failover);
    assert.deepEqual(backend(near).locality, {
      enabled: true,
      distribute: [],
      failover: [{ from: 'eu', to: 'us' }],
      forced: false,
    });
  });

  it('replaces blocks by port as a whole, and by subset one by one', () => {
    const shop = world(`
host: reviews
trafficPolicy:
  loadBalancer: { simple: RANDOM }
  connectionPool: { tcp: { maxConnections: 1 } }
  outlierDetection: {}
  portLevelSettings:
    - { port: { number: 9999 }, loadBalancer: { simple: PASSTHROUGH } }
subsets:
  - { name: v1, labels: { version: v1 }, trafficPolicy: { connectionPool: { tcp: { maxConnections: 2 } } } }
  - name: v2
    labels: { version: v2 }
    trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: ROUND_ROBIN } }] }
`);
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'vs',
        '{ hosts: [reviews], http: [{ route: [{ destination: { host: reviews, subset: v1 }, weight: 1 }, { destination: { host: reviews, subset: v2 }, weight: 1 }] }] }',
      ),
    );
    const v1 = backend(shop, `inbound-vip|80|http/v1|${reviews}`);
    assert.deepEqual(
      [v1.loadBalancer.kind, v1.connectionPool.maxConnections, v1.outlierDetection?.consecutive5xx, v1.subset],
      ['random', 2, 5, 'v1'],
    );
    assert.equal(v1.origin?.path, 'spec.subsets[0]');
    const v2 = backend(shop, `inbound-vip|80|http/v2|${reviews}`);
    assert.deepEqual(
      [v2.loadBalancer.kind, v2.connectionPool.maxConnections, v2.outlierDetection],
      ['round-robin', undefined, undefined],
    );
    const port = world(`
host: reviews
trafficPolicy:
  loadBalancer: { simple: RANDOM }
  retryBudget: { percent: 5 }
  portLevelSettings: [{ port: { number: 80 }, connectionPool: { tcp: { maxConnections: 3 } } }]
`);
    const of80 = backend(port);
    assert.deepEqual(
      [of80.loadBalancer.kind, of80.connectionPool.maxConnections, of80.retryBudget?.percent],
      ['least-request', 3, 5],
    );
  });

  it('makes subsets of the endpoints with its labels, of pods and of entries', () => {
    const shop = world(
      '{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: all, trafficPolicy: { proxyProtocol: {} } }] }',
    );
    const route = (subset: string): string => `{ destination: { host: reviews, subset: ${subset} }, weight: 1 }`;
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'vs',
        `{ hosts: [reviews], http: [{ route: [${route('v1')}, ${route('all')}, ${route('v9')}] }] }`,
      ),
    );
    const of = (name: string, version: string) => pod(name, { labels: { app: 'reviews', version }, ip: '10.0.0.1' });
    shop.put(shop.sources.pods, of('a', 'v1'), of('b', 'v2'), of('c', 'v1'));
    const v1 = `inbound-vip|80|http/v1|${reviews}`;
    assert.deepEqual(
      backend(shop, v1).members?.map(({ workload }) => workload),
      ['Kubernetes//Pod/shop/a', 'Kubernetes//Pod/shop/c'],
    );
    assert.equal(backend(shop, `inbound-vip|80|http/all|${reviews}`).members, undefined);
    shop.proxyChanges();
    shop.put(shop.sources.pods, of('c', 'v2'));
    assert.deepEqual(shop.proxyChanges(), [`shop/wp|backend/${v1}`]);
    assert.equal(backend(shop, v1).members?.length, 1);
    const targets = rulesOf(shop, 'reviews')[0]?.action;
    assert.ok(targets?.kind === 'forward');
    assert.deepEqual(
      targets.destinations.map(({ target }) => target.kind),
      ['backend', 'backend', 'invalid'],
    );
    assert.equal(told(shop), 'True Accepted in force at shop/wp');

    const entries = openShop();
    entries.put(
      entries.sources.serviceEntries,
      serviceEntry(
        'api',
        {
          hosts: ['api.example.com'],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution: 'STATIC',
          endpoints: [
            { address: '1.1.1.1', labels: { version: 'v1' } },
            { address: '1.1.1.1', labels: { version: 'v2' }, ports: { http: 81 } },
          ],
        },
        { labels },
      ),
      serviceEntry(
        'vms',
        {
          hosts: ['vms.example.com'],
          ports: [{ number: 80, name: 'http' }],
          resolution: 'STATIC',
          workloadSelector: { labels: { app: 'vm' } },
        },
        { labels },
      ),
    );
    entries.put(
      entries.sources.workloadEntries,
      workloadEntry('vm-1', { address: '2.2.2.2', labels: { app: 'vm', version: 'v1' } }),
      workloadEntry('vm-2', { address: '2.2.2.3', labels: { app: 'vm', version: 'v2' } }),
    );
    for (const host of ['api.example.com', 'vms.example.com']) {
      const name = host.split('.')[0] ?? '';
      entries.put(
        entries.sources.destinationRules,
        destinationRule(name, `{ host: ${host}, subsets: [{ name: v2, labels: { version: v2 } }] }`),
      );
      entries.put(
        entries.sources.virtualServices,
        virtualService(
          name,
          `{ hosts: [${host}], http: [{ route: [{ destination: { host: ${host}, subset: v2 } }] }] }`,
        ),
      );
    }
    const members = (host: string) =>
      entries
        .resource('shop/wp', 'backend', `inbound-vip|80|${host.startsWith('api') ? 'http' : 'http'}/v2|${host}`)
        .members?.map(({ workload }) => workload);
    assert.deepEqual(members('api.example.com'), ['Kubernetes/networking.istio.io/ServiceEntry/shop/api/1.1.1.1/1']);
    assert.deepEqual(members('vms.example.com'), ['Kubernetes/networking.istio.io/WorkloadEntry/shop/vm-2']);
  });

  it('orders endpoints by where they are, and by labels that they share with the pods of the waypoint', () => {
    const setting =
      '{ failoverPriority: [topology.kubernetes.io/region, version, tier=gold, kubernetes.io/hostname=n1] }';
    const shop = world(
      `{ host: reviews, trafficPolicy: { outlierDetection: {}, loadBalancer: { localityLbSetting: ${setting} } } }`,
    );
    const at = (name: string, more: Record<string, string>) =>
      pod(name, { labels: { app: 'reviews', ...more }, ip: '10.0.0.1' });
    const proxy = (name: string, version: string) =>
      at(name, { app: 'wp', version, 'gateway.networking.k8s.io/gateway-name': 'wp' });
    shop.put(
      shop.sources.pods,
      proxy('wp-1', 'v1'),
      at('a', { version: 'v1', tier: 'gold' }),
      at('b', { version: 'v1' }),
      at('c', { version: 'v2', tier: 'gold' }),
    );
    const steps = (...alike: string[]): object[] => [
      { kind: 'place', scope: 'region' },
      { kind: 'label', members: alike.map((name) => `Kubernetes//Pod/shop/${name}`) },
      { kind: 'label', members: ['Kubernetes//Pod/shop/a', 'Kubernetes//Pod/shop/c'] },
      { kind: 'place', scope: 'node', value: 'n1' },
    ];
    assert.deepEqual(backend(shop).locality.failoverPriority, steps('a', 'b'));
    assert.equal(backend(shop).members, undefined);
    // Proxies of two versions have none in common.
    shop.put(shop.sources.pods, proxy('wp-2', 'v2'));
    assert.deepEqual(backend(shop).locality.failoverPriority, steps());
  });

  it("is the waypoint's namespace's, else the Service's, else the root's; the most special host wins", () => {
    const shop = openShop();
    const rule = (name: string, ns: string, host: string, simple: string) =>
      destinationRule(name, `{ host: "${host}", trafficPolicy: { loadBalancer: { simple: ${simple} } } }`, {
        namespace: ns,
      });
    shop.put(shop.sources.gateways, waypoint('central', { namespace: 'other', from: 'All' }));
    const foreign = { ...labels, 'istio.io/use-waypoint': 'central', 'istio.io/use-waypoint-namespace': 'other' };
    shop.put(shop.sources.services, service('reviews', {}, { labels: foreign }));
    const kind = (): string => backend(shop, undefined, 'other/central').loadBalancer.kind;
    shop.put(shop.sources.destinationRules, rule('root', 'istio-system', '*.shop.svc.cluster.local', 'RANDOM'));
    assert.equal(kind(), 'random');
    shop.put(shop.sources.destinationRules, rule('own', 'shop', '*.svc.cluster.local', 'PASSTHROUGH'));
    assert.equal(kind(), 'passthrough');
    shop.put(shop.sources.destinationRules, rule('own-2', 'shop', reviews, 'ROUND_ROBIN'));
    assert.equal(kind(), 'round-robin');
    shop.put(shop.sources.destinationRules, rule('client', 'other', reviews, 'LEAST_REQUEST'));
    assert.equal(kind(), 'least-request');
    shop.put(shop.sources.destinationRules, rule('stranger', 'third', reviews, 'RANDOM'));
    assert.equal(kind(), 'least-request');
  });

  it('merges with others of its host: the oldest policy, the subsets of all', () => {
    const shop = openShop();
    const at = (name: string, createdAt: string, more: string) =>
      destinationRule(name, `{ host: reviews, ${more} }`, { creationTimestamp: createdAt });
    shop.put(
      shop.sources.destinationRules,
      at(
        'a',
        '2025-01-02T00:00:00Z',
        'trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: v1, labels: { version: v1 } }]',
      ),
      at(
        'b',
        '2025-01-01T00:00:00Z',
        'trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }, subsets: [{ name: v2, labels: { version: v2 } }]',
      ),
    );
    assert.equal(backend(shop).loadBalancer.kind, 'round-robin');
    assert.equal(
      told(shop, 'a'),
      `False Conflicted spec.trafficPolicy: DestinationRule shop/b is older and has the say for ${reviews}`,
    );
    assert.match(told(shop, 'b'), /^True/);
    shop.put(
      shop.sources.virtualServices,
      virtualService(
        'vs',
        '{ hosts: [reviews], http: [{ route: [{ destination: { host: reviews, subset: v1 }, weight: 1 }, { destination: { host: reviews, subset: v2 }, weight: 1 }] }] }',
      ),
    );
    assert.equal(shop.statuses.rules.virtualServices.get('Kubernetes/shop/vs')?.accepted.status, 'True');
  });

  it('chooses its clients by labels that proxies have', () => {
    const rule = (name: string): string =>
      `{ host: reviews, workloadSelector: { matchLabels: { gateway.networking.k8s.io/gateway-name: ${name} } }, trafficPolicy: { loadBalancer: { simple: RANDOM } } }`;
    assert.equal(backend(world(rule('wp'))).loadBalancer.kind, 'random');
    assert.equal(backend(world(rule('else'))).loadBalancer.kind, 'least-request');
  });

  it('says what it cannot do, with the path', () => {
    const shop = world(`
host: nowhere
trafficPolicy:
  loadBalancer: { consistentHash: { httpCookie: { name: c, attributes: [{ name: SameSite, value: Strict }] } } }
  outlierDetection: { outlierDetectionHttpErrorCodes: [429] }
  tunnel: { targetHost: a, targetPort: 1 }
subsets:
  - name: v1
    trafficPolicy: { tls: { mode: SIMPLE, caCertificates: /etc/ca.pem, caCrl: /etc/crl.pem } }
`);
    assert.equal(verdict(shop)?.status, 'False');
    assert.deepEqual(
      [...(verdict(shop)?.message ?? '').matchAll(/(spec\.\S+): /g)].map(([, path]) => path),
      [
        'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes',
        'spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes',
        'spec.trafficPolicy.tunnel',
        'spec.subsets[0].trafficPolicy.tls.caCertificates',
        'spec.subsets[0].trafficPolicy.tls.caCrl',
      ],
    );
    assert.match(verdict(shop)?.message ?? '', /; and 1 more$/);
    const listed = world('{ host: reviews, trafficPolicy: { tls: { mode: SIMPLE, caCrl: /etc/crl.pem } } }');
    assert.match(told(listed), /spec\.trafficPolicy\.tls\.caCrl: files of proxies are not read: .*; connections fail/);
    const file = world('{ host: reviews, trafficPolicy: { tls: { mode: SIMPLE, caCertificates: /etc/ca.pem } } }');
    assert.match(
      told(file),
      /spec\.trafficPolicy\.tls\.caCertificates: files of proxies are not read: .*; connections fail/,
    );
    for (const shut of [listed, file]) {
      // What the operating system trusts is not what somebody asked for.
      assert.deepEqual(backend(shut).tls?.ca, { kind: 'secret', secret: 'shop/files-of-the-proxy/ca' });
      const held = shut.resource('shop/wp', 'secret', 'shop/files-of-the-proxy/ca');
      assert.deepEqual(held, { kind: 'secret', name: 'shop/files-of-the-proxy/ca' });
    }
    const ofSystem = world('{ host: reviews, trafficPolicy: { tls: { mode: SIMPLE, caCertificates: system } } }');
    assert.deepEqual([backend(ofSystem).tls?.ca, told(ofSystem).slice(0, 4)], [{ kind: 'system' }, 'True']);
    const mild = world('{ host: reviews, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }');
    assert.match(told(mild), /^True Accepted in force at shop\/wp; without effect: spec.trafficPolicy.tls.mode: /);
    assert.equal(backend(mild).tls, undefined);
  });
});

describe('a DestinationRule that admission never saw', () => {
  it('comes to proxies as something that they can take, and is told', () => {
    const shop = world(`
host: reviews
trafficPolicy:
  loadBalancer:
    consistentHash: { httpCookie: { name: c, ttl: -5s }, maglev: { tableSize: -1 } }
    localityLbSetting: { distribute: [{ from: a, to: { b: -1 } }] }
  connectionPool: { tcp: { maxConnections: -1, connectTimeout: -1s }, http: { maxRetries: -2 } }
  outlierDetection: { consecutive5xxErrors: -1, maxEjectionPercent: 900, minHealthPercent: -3 }
  retryBudget: { percent: -20, minRetryConcurrency: -1 }
`);
    const { connectionPool, outlierDetection, retryBudget, loadBalancer } = backend(shop);
    assert.deepEqual(connectionPool, { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000 });
    assert.deepEqual([outlierDetection?.consecutive5xx, outlierDetection?.maxEjectionPercent], [0, 100]);
    assert.deepEqual(retryBudget, { percent: 0, minConcurrency: 0, intervalMs: 0 });
    assert.ok(loadBalancer.kind === 'consistent-hash');
    assert.match(told(shop), /^False Invalid spec\.trafficPolicy/);
  });
});

describe('TLS that a DestinationRule asks for', () => {
  let key = '';
  let certificate = '';
  before(async () => {
    const authority = await createTestAuthority();
    const signed = await authority.signServer({ dnsNames: ['api.example.com'], ips: [] });
    [key, certificate] = [signed.keyPem, signed.chainPem];
  });
  const secret = (name: string, data: Record<string, string | undefined>): Secret => ({
    metadata: { name, namespace: 'shop' },
    data: Object.fromEntries(
      Object.entries(data).map(([field, text = '']) => [field, Buffer.from(text).toString('base64')]),
    ),
  });
  const entry = serviceEntry(
    'api',
    { hosts: ['api.example.com'], resolution: 'DNS', subjectAltNames: ['spiffe://api'] },
    { labels },
  );
  const open = (tls: string, options: WorldOptions = {}): ProxyWorld => {
    const shop = openShop(options);
    const rule = destinationRule('dr-0', `{ host: api.example.com, trafficPolicy: { tls: ${tls} } }`);
    shop.put(shop.sources.destinationRules, rule);
    shop.put(shop.sources.serviceEntries, entry);
    return shop;
  };
  const name = 'inbound-vip|443|tcp|api.example.com';

  it('trusts what the operating system does, or nobody', () => {
    assert.deepEqual(backend(open('{ mode: SIMPLE, sni: other }'), name).tls, {
      mode: 'simple',
      sni: 'other',
      subjectAltNames: ['spiffe://api'],
      ca: { kind: 'system' },
    });
    const blind = backend(open('{ mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a] }'), name);
    assert.deepEqual(blind.tls, { mode: 'simple', subjectAltNames: ['a'], ca: { kind: 'none' } });
    assert.equal(blind.protocol, 'http1');
  });

  it('reads credentials from Secrets beside the proxy, and keeps the last good one', () => {
    const shop = open('{ mode: MUTUAL, credentialName: api-cert }');
    const secrets = () => shop.names('shop/wp').filter((one) => one.startsWith('secret/'));
    assert.deepEqual(secrets(), ['secret/shop/api-cert', 'secret/shop/api-cert/ca']);
    assert.deepEqual(shop.resource('shop/wp', 'secret', 'shop/api-cert'), { kind: 'secret', name: 'shop/api-cert' });
    assert.match(told(shop), /^False SecretNotFound spec.trafficPolicy.tls.credentialName: .*shop\/api-cert with CA/);
    shop.put(
      shop.sources.secrets,
      secret('api-cert', { 'tls.crt': certificate, 'tls.key': key }),
      secret('api-cert-cacert', { 'ca.crt': certificate }),
    );
    assert.match(told(shop), /^True/);
    const held = shop.resource('shop/wp', 'secret', 'shop/api-cert');
    assert.deepEqual([held.certificateChain, held.privateKey, held.caCertificates], [certificate, key, undefined]);
    const ca = shop.resource('shop/wp', 'secret', 'shop/api-cert/ca');
    assert.deepEqual([ca.caCertificates, ca.privateKey], [certificate, undefined]);
    assert.throws(
      () => shop.put(shop.sources.secrets, secret('api-cert', { 'tls.crt': 'broken' })),
      /derived|Secret|credentials/,
    );
    assert.equal(shop.resource('shop/wp', 'secret', 'shop/api-cert').certificateChain, certificate);
    shop.put(shop.sources.destinationRules, destinationRule('dr-0', '{ host: api.example.com }', { generation: 2 }));
    assert.deepEqual(secrets(), []);
  });

  it(
    'reads whom the authorities of servers have revoked, and trusts them no more while that cannot be read',
    { skip },
    () => {
      using root = openOpensslRoot('servers');
      const tls = '{ mode: SIMPLE, credentialName: api-cert }';
      const shop = open(tls, { tolerated: 'discovery.bad-crl' });
      const put = (lists: string): void =>
        shop.put(shop.sources.secrets, secret('api-cert', { 'ca.crt': root.certPem, 'ca.crl': lists }));
      const held = () => shop.resource('shop/wp', 'secret', 'shop/api-cert/ca');
      put('no list');
      assert.equal(held().caCertificates, undefined);
      assert.match(
        told(shop),
        /^False Invalid spec\.trafficPolicy\.tls\.credentialName: Secret shop\/api-cert has a ca\.crl that cannot be used: .*: connections of shop\/wp fail/,
      );
      const lists = root.crl().toString();
      put(lists);
      assert.deepEqual([held().caCertificates, held().revocations], [root.certPem, lists]);
      assert.match(told(shop), /^True/);
      put('no list');
      assert.deepEqual([held().caCertificates, held().revocations], [root.certPem, lists]);
      assert.match(told(shop), /^False Invalid .*the last good lists stay in force/);
      shop.put(shop.sources.secrets, secret('api-cert-cacert', { 'ca.crt': certificate }));
      assert.deepEqual([held().caCertificates, held().revocations], [certificate, undefined], 'lists go with their CA');
    },
  );
});
