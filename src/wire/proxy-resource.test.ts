import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { AmbitError } from '../lib/errors.ts';
import { parseCidr } from '../lib/ip.ts';
import type { Origin, PolicyAttachment, ProxyResource } from '../api/l7/index.ts';
import { serviceKey, type NetworkId, type WorkloadUid } from '../api/names.ts';
import { ResourceSchema } from '../gen/proxy_pb.ts';
import { decodeProxyResource, encodeProxyResource, proxyResourceName } from './index.ts';
import { serializeMessage } from './message.ts';

const origin: Origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'reviews', generation: 3, path: 'spec.rules[0]' };
const reviews = serviceKey('shop', 'reviews.shop.svc.cluster.local');
const noPolicies: PolicyAttachment = {
  authorization: [],
  authentication: [],
  rateLimits: [],
  telemetry: [],
  extensions: [],
};

/** At least one of each kind, with each member of each union, and optional fields with and without. */
const samples: readonly ProxyResource[] = [
  {
    kind: 'settings',
    name: 'default',
    role: 'waypoint',
    gateway: 'shop/waypoint',
    trustDomain: 'cluster.local',
    trustDomainAliases: ['old.example'],
    clusterDomain: 'cluster.local',
    network: '' as NetworkId,
    pathNormalization: 'merge-slashes',
    numTrustedProxies: 1,
    defaultRetry: {
      attempts: 2,
      perTryTimeoutMs: 250,
      on: ['reset-before-request', '5xx'],
      statusCodes: [503],
      backoffBaseMs: 25,
      backoffMaxMs: 250,
      avoidsPreviousHosts: true,
      remoteLocalities: false,
    },
    accessLog: { kind: 'text', template: '[%START_TIME%]\n' },
    tracingSamplingPercent: 1,
    protocolDetectionTimeoutMs: 5000,
    drainMs: 45_000,
  },
  {
    kind: 'listener',
    type: 'waypoint',
    name: 'connect',
    port: 15008,
    trafficType: 'all',
    policies: { ...noPolicies, authorization: ['shop/deny'] },
    includesClientIdentity: true,
    origin,
  },
  {
    kind: 'listener',
    type: 'edge',
    name: 'https',
    port: 443,
    policies: noPolicies,
    servers: [
      {
        name: 'https',
        protocol: 'https',
        hostname: '*.example.com',
        tls: {
          mode: 'terminate',
          certificates: ['shop/cert'],
          clientCa: { secret: 'shop/ca', required: true },
          minVersion: 'TLSv1.2',
          cipherSuites: [],
        },
        routes: 'https',
        policies: noPolicies,
        origin,
      },
      { name: 'tcp', protocol: 'tcp', hostname: '*', routes: 'tcp', policies: noPolicies, origin },
    ],
    origin,
  },
  {
    kind: 'service',
    name: reviews,
    namespace: 'shop',
    hostname: 'reviews.shop.svc.cluster.local',
    ports: [{ port: 80, protocol: 'http', routes: 'reviews-80' }],
    policies: { ...noPolicies, telemetry: ['shop/quiet'], rateLimits: ['shop/limit'] },
    origin,
  },
  {
    kind: 'routes',
    name: 'reviews-80',
    hosts: [
      {
        domains: ['*'],
        rules: [
          {
            name: 'shop.reviews.0',
            origin,
            matches: [
              {
                path: { kind: 'regex', value: '/v[0-9]+', ignoreCase: true },
                method: { kind: 'exact', value: 'GET' },
                scheme: { kind: 'prefix', value: 'http' },
                authority: { kind: 'suffix', value: '.example' },
                headers: [{ name: 'x-user', match: { kind: 'present' }, invert: true }],
                query: [{ name: 'q', match: { kind: 'regex', value: 'a+' }, invert: false }],
                claims: [{ path: ['groups'], match: { kind: 'exact', value: 'a' }, invert: false }],
                port: 80,
                sourceNamespace: 'default',
              },
              { path: { kind: 'path-prefix', value: '/a' } },
            ],
            action: {
              kind: 'forward',
              destinations: [
                {
                  weight: 90,
                  target: { kind: 'backend', backend: 'outbound|80||reviews.shop.svc.cluster.local' },
                  requestHeaders: { set: [['a', 'b']], add: [['c', '']], remove: ['d'] },
                  responseHeaders: { set: [], add: [], remove: [] },
                  rewrite: { authority: 'other.example' },
                },
                { weight: 10, target: { kind: 'invalid', status: 500, reason: 'no such Service' } },
              ],
              rewrite: { path: { kind: 'prefix', value: '/', bySegments: true } },
            },
            timeoutMs: 1500,
            fault: { delay: { ms: 5, percent: 0.0001 }, abort: { percent: 100, httpStatus: 503, grpcStatus: 14 } },
            mirrors: [{ backend: 'outbound|80||reviews.shop.svc.cluster.local', percent: 50 }],
            cors: {
              allowOrigins: [{ kind: 'exact', value: 'https://example.com' }],
              allowMethods: ['GET'],
              allowHeaders: ['*'],
              exposeHeaders: [],
              maxAgeSeconds: 5,
              allowCredentials: true,
              unmatchedPreflights: 'ignore',
            },
            sessionPersistence: { type: 'cookie', name: 'session', lifetime: 'permanent', absoluteTimeoutMs: 1000 },
          },
          {
            name: 'redirect',
            origin: { kind: 'VirtualService', namespace: 'shop', name: 'r', generation: 0 },
            matches: [],
            action: { kind: 'redirect', status: 302, port: 'from-scheme', path: { kind: 'full', value: '/x' } },
          },
          {
            name: 'redirect-to-port',
            origin,
            matches: [],
            action: {
              kind: 'redirect',
              status: 301,
              scheme: 'https',
              hostname: 'a.example',
              port: 8443,
              path: { kind: 'regex', pattern: '^/(.*)', value: '/b/\\1' },
            },
          },
          { name: 'teapot', origin, matches: [], action: { kind: 'respond', status: 418, body: 'short and stout' } },
        ],
      },
    ],
    tls: [{ name: 't', origin, sniHosts: ['a.example'], destinationSubnets: ['10.0.0.0/8'], destinations: [] }],
    tcp: [{ name: 't', origin, destinationSubnets: [], port: 3306, destinations: [], sourceNamespace: 'a' }],
  },
  {
    kind: 'backend',
    name: 'outbound|80|v1|reviews.shop.svc.cluster.local',
    service: reviews,
    hostname: 'reviews.shop.svc.cluster.local',
    port: 80,
    subset: 'v1',
    members: [{ workload: 'Kubernetes//Pod/shop/reviews-v1' as WorkloadUid }],
    requestedHosts: { pattern: '*.example.com', port: 443 },
    protocol: 'auto',
    throughWaypoint: false,
    loadBalancer: {
      kind: 'consistent-hash',
      on: { kind: 'cookie', name: 'user', ttlSeconds: 0 },
      table: { kind: 'ring', minimumSize: 1024 },
    },
    locality: {
      enabled: true,
      distribute: [{ from: 'a/b/*', to: [{ locality: 'a/*', weight: 100 }] }],
      failover: [{ from: 'a', to: 'b' }],
      failoverPriority: [
        { kind: 'place', scope: 'zone' },
        { kind: 'place', scope: 'region', value: 'eu' },
        { kind: 'label', members: ['Kubernetes//Pod/shop/reviews-v1' as WorkloadUid] },
      ],
      forced: false,
    },
    outlierDetection: {
      consecutive5xx: 5,
      consecutiveGatewayErrors: 0,
      consecutiveLocalOriginFailures: 0,
      splitsLocalOrigin: false,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionPercent: 10,
      minHealthPercent: 0,
    },
    connectionPool: {
      connectTimeoutMs: 10_000,
      idleTimeoutMs: 3_600_000,
      maxConnections: 7,
      tcpKeepalive: { timeMs: 1, intervalMs: 2, probes: 3 },
    },
    retryBudget: { percent: 20, minConcurrency: 3, intervalMs: 10_000 },
    tls: {
      mode: 'mutual',
      sni: 'a.example',
      subjectAltNames: ['a.example'],
      ca: { kind: 'secret', secret: 'shop/ca' },
      clientCertificate: 'shop/cert',
    },
    proxyProtocol: 'v2',
    origin,
  },
  {
    kind: 'backend',
    name: 'outbound|80||reviews.shop.svc.cluster.local',
    service: reviews,
    hostname: 'reviews.shop.svc.cluster.local',
    port: 80,
    protocol: 'tcp',
    throughWaypoint: true,
    loadBalancer: { kind: 'least-request', warmup: { durationMs: 1000, minimumPercent: 10, aggression: 1 } },
    locality: { enabled: false, distribute: [], failover: [], forced: false },
    connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 1 },
    tls: { mode: 'simple', subjectAltNames: [], ca: { kind: 'system' } },
  },
  {
    kind: 'authorization',
    name: 'shop/deny',
    origin,
    action: 'custom',
    dryRun: true,
    provider: 'opa',
    rules: [
      {
        from: [
          [
            {
              attribute: { kind: 'source-ip' },
              values: [
                { kind: 'cidr', cidr: parseCidr('10.0.0.0/8') },
                { kind: 'cidr', cidr: parseCidr('2001:db8::/33') },
              ],
              notValues: [{ kind: 'service-account', namespace: 'a', serviceAccount: 'b' }],
            },
          ],
        ],
        to: [
          [
            {
              attribute: { kind: 'path' },
              values: [
                { kind: 'path-template', value: '/a/{*}' },
                { kind: 'text', match: { kind: 'prefix', value: '/' }, ignoreCase: true },
              ],
              notValues: [],
            },
            { attribute: { kind: 'destination-port' }, values: [{ kind: 'port', port: 80 }], notValues: [] },
          ],
        ],
        when: [
          { attribute: { kind: 'claim', path: ['a', 'b'] }, values: [], notValues: [] },
          { attribute: { kind: 'header', name: 'x-a' }, values: [], notValues: [] },
          { attribute: { kind: 'unsupported', key: 'experimental.envoy' }, values: [], notValues: [] },
          {
            attribute: { kind: 'request-principal' },
            values: [{ kind: 'principal', issuer: { kind: 'exact', value: 'i' }, subject: { kind: 'present' } }],
            notValues: [],
          },
          { attribute: { kind: 'source-trust-domain' }, values: [], notValues: [] },
          { attribute: { kind: 'sni' }, values: [], notValues: [] },
        ],
      },
    ],
  },
  {
    kind: 'authentication',
    name: 'shop/jwt',
    origin,
    rules: [
      {
        issuer: 'https://issuer.example',
        audiences: ['a'],
        keys: { kind: 'jwks', json: '{"keys":[]}' },
        fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }],
        fromParams: ['token'],
        fromCookies: [],
        outputPayloadToHeader: 'x-payload',
        outputClaimToHeaders: [{ header: 'x-sub', claim: ['sub'] }],
        forwardOriginalToken: false,
        spaceDelimitedClaims: ['scope'],
      },
      {
        issuer: 'b',
        audiences: [],
        keys: { kind: 'unavailable', reason: 'no answer' },
        fromHeaders: [],
        fromParams: [],
        fromCookies: ['jwt'],
        outputClaimToHeaders: [],
        forwardOriginalToken: true,
        spaceDelimitedClaims: [],
      },
    ],
  },
  {
    kind: 'rate-limit',
    name: 'shop/limit',
    origin,
    limits: [
      {
        name: 'a',
        matches: [{ method: { kind: 'exact', value: 'POST' } }],
        by: [
          { kind: 'header', name: 'x-user', key: 'user' },
          { kind: 'query', name: 'q', key: 'q' },
          { kind: 'claim', path: ['sub'], key: 'sub' },
          { kind: 'route', key: 'route' },
          { kind: 'value', key: 'k', value: 'v' },
        ],
        enforcement: { kind: 'local', burst: 10, tokens: 1, intervalMs: 1000 },
        dryRun: false,
        status: 429,
      },
      {
        name: 'b',
        matches: [],
        by: [],
        enforcement: { kind: 'global', provider: 'limiter', domain: 'd', timeoutMs: 20, failOpen: true },
        dryRun: true,
        status: 429,
      },
    ],
  },
  {
    kind: 'telemetry',
    name: 'shop/quiet',
    scope: 'target',
    metrics: [
      {
        metric: 'REQUEST_COUNT',
        tags: [
          { name: 'source_app', change: { kind: 'remove' } },
          { name: 'method', change: { kind: 'set', expression: 'request.method' } },
        ],
      },
      { side: 'client', metric: 'ALL_METRICS', disabled: true, tags: [] },
    ],
    accessLogs: [
      { side: 'server', provider: 'file', disabled: false, filter: 'response.code >= 400' },
      { disabled: true },
    ],
    tracing: {
      side: 'server',
      providers: ['otel'],
      samplingPercent: 12.5,
      disabled: false,
      usesRequestId: true,
      istioTags: false,
      propagates: false,
      customTags: [
        { name: 'a', value: { kind: 'literal', value: 'b' } },
        { name: 'c', value: { kind: 'header', name: 'x-c', default: '' } },
        { name: 'e', value: { kind: 'environment', name: 'E', default: 'f' } },
        { name: 'g', value: { kind: 'format', template: '%REQ(X-G)%' } },
      ],
    },
  },
  { kind: 'telemetry', name: 'shop/nothing', scope: 'mesh', metrics: [] },
  {
    kind: 'extension',
    name: 'shop/filter',
    origin,
    source: 'export default {}',
    sha256: 'ab'.repeat(32),
    config: '{}',
    phase: 'last',
    priority: -5,
    failOpen: false,
    timeoutMs: 50,
    memoryMb: 64,
    maxBodyBytes: 0,
  },
  {
    kind: 'provider',
    name: 'opa',
    backend: 'outbound|9000||opa.shop.svc.cluster.local',
    use: {
      kind: 'ext-authz-grpc',
      timeoutMs: 1000,
      failOpen: false,
      statusOnError: 403,
      pathPrefix: '',
      includeHeaders: ['x-*'],
      addHeaders: [['a', 'b']],
      body: { maxBytes: 1024, allowPartial: true, packAsBytes: false },
      headersToUpstreamOnAllow: [],
      headersToDownstreamOnDeny: [],
      headersToDownstreamOnAllow: [],
    },
  },
  { kind: 'provider', name: 'limiter', use: { kind: 'rate-limit' }, backend: 'b' },
  {
    kind: 'provider',
    name: 'otel',
    use: { kind: 'opentelemetry', protocol: 'http', path: '/v1/traces', timeoutMs: 0, headers: [['a', 'b']] },
  },
  { kind: 'provider', name: 'zipkin', use: { kind: 'zipkin', path: '/api/v2/spans' } },
  {
    kind: 'provider',
    name: 'file',
    use: {
      kind: 'access-log-file',
      path: '/dev/stdout',
      format: { kind: 'json', fields: { method: '%REQ(:METHOD)%' } },
    },
  },
  {
    kind: 'secret',
    name: 'shop/cert',
    certificateChain: 'PEM',
    privateKey: 'PEM',
    caCertificates: 'PEM',
    revocations: 'PEM',
  },
];

for (const sample of samples) {
  test('route tables are written as any JSON, also when their rules were written before', () => {
    for (const sample of samples) {
      if (sample.kind !== 'routes') continue;
      for (const table of [sample, { ...sample, hosts: [...sample.hosts, ...sample.hosts] }]) {
        const { json } = fromBinary(ResourceSchema, encodeProxyResource(table));
        assert.equal(json, JSON.stringify(table));
      }
    }
  });

  test('rules that a table had before are the same objects in the next one, and no others', () => {
    const table = samples.find((sample) => sample.kind === 'routes');
    assert.ok(table);
    const [host] = table.hosts;
    const [first, ...others] = host?.rules ?? [];
    assert.ok(host && first && others.length > 0);
    const next = { ...table, hosts: [{ ...host, rules: [...others, { ...first, name: 'changed' }] }] };
    const read = (value: ProxyResource, before?: ProxyResource) => {
      const decoded = decodeProxyResource(proxyResourceName(value), encodeProxyResource(value), before);
      assert.deepEqual(decoded, value);
      return decoded.kind === 'routes' ? (decoded.hosts[0]?.rules ?? []) : [];
    };
    const before = decodeProxyResource(proxyResourceName(table), encodeProxyResource(table));
    assert.ok(before.kind === 'routes');
    const had = before.hosts[0]?.rules ?? [];
    const rules = read(next, before);
    assert.deepEqual(
      rules.map((rule) => had.indexOf(rule)),
      [...others.map((_, i) => i + 1), -1],
    );
    assert.ok(read(next).every((rule) => !had.includes(rule)));
  });

  test(`${proxyResourceName(sample)} is read as it was written`, () => {
    assert.deepEqual(decodeProxyResource(proxyResourceName(sample), encodeProxyResource(sample)), sample);
  });
}

/** A sample whose JSON has `to` in place of `from`. */
function changed(resourceName: string, from: string, to: string): Uint8Array {
  const sample = samples.find((one) => proxyResourceName(one) === resourceName);
  assert.ok(sample);
  const { json } = fromBinary(ResourceSchema, encodeProxyResource(sample));
  assert.ok(json.includes(from), `${json} has no ${from}`);
  return serializeMessage(ResourceSchema, { kind: sample.kind, json: json.replace(from, to) });
}

function refusal(resourceName: string, bytes: Uint8Array): string {
  try {
    decodeProxyResource(resourceName, bytes);
  } catch (error) {
    assert.ok(error instanceof AmbitError);
    return `${error.code}: ${error.message}`;
  }
  return 'not refused';
}

test('fields that this version does not know are passed over', () => {
  const bytes = changed('routes/reviews-80', '"name":"shop.reviews.0"', '"name":"shop.reviews.0","novelty":{"a":1}');
  const sample = samples.find(({ kind }) => kind === 'routes');
  assert.deepEqual(decodeProxyResource('routes/reviews-80', bytes), sample);
});

test('a wrong value is refused with the path to it', () => {
  assert.equal(
    refusal('routes/reviews-80', changed('routes/reviews-80', '"timeoutMs":1500', '"timeoutMs":"1500"')),
    'wire.malformed: Cannot accept hosts[0].rules[0].timeoutMs: "1500" is not a number',
  );
  assert.equal(
    refusal('authorization/shop/deny', changed('authorization/shop/deny', '"10.0.0.0/8"', '"10.0.0.0/80"')),
    'wire.invalid-cidr: Cannot accept rules[0].from[0][0].values[0].cidr: "10.0.0.0/80" is not a block of addresses',
  );
  assert.equal(
    refusal('listener/connect', changed('listener/connect', '"port":15008', '"port":150080')),
    'wire.invalid-port: Cannot accept port: 150080 is not a port',
  );
});

test('a member of a union that this version does not know is refused, never taken for another', () => {
  assert.equal(
    refusal('routes/reviews-80', changed('routes/reviews-80', '"kind":"respond"', '"kind":"brew"')),
    'wire.unknown-enum: Cannot accept hosts[0].rules[3].action.kind: the value "brew" is not known',
  );
  assert.equal(
    refusal('authorization/shop/deny', changed('authorization/shop/deny', '"action":"custom"', '"action":"ask"')),
    'wire.unknown-enum: Cannot accept action: the value "ask" is not known',
  );
});

test('a field that must be there is missed by its name', () => {
  assert.equal(
    refusal('listener/https', changed('listener/https', '"certificates":["shop/cert"],', '')),
    'wire.missing-field: Cannot accept servers[0].tls.certificates: it is not there',
  );
});

test('a kind of resource that this version does not know is refused', () => {
  const bytes = serializeMessage(ResourceSchema, { kind: 'firewall', json: '{}' });
  assert.equal(
    refusal('firewall/a', bytes),
    'wire.unknown-enum: Cannot accept kind: the kind "firewall" is not known to this version of the proxy',
  );
});

test('a resource that comes under the name of another is refused', () => {
  const bytes = changed('secret/shop/cert', 'shop/cert', 'shop/other');
  assert.equal(
    refusal('secret/shop/cert', bytes),
    'wire.invalid-name: Cannot accept name: the resource secret/shop/cert says that it is secret/shop/other',
  );
});

test('text that is no JSON is refused without being quoted', () => {
  const bytes = serializeMessage(ResourceSchema, { kind: 'secret', json: '{"privateKey":"-----BEGIN' });
  assert.equal(refusal('secret/a', bytes), 'wire.malformed: Cannot accept json: its 25 characters are not JSON');
});

test('any bytes are either a resource or a refusal', () => {
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.json(), (sample, json) => {
      const bytes = serializeMessage(ResourceSchema, { kind: sample.kind, json });
      assert.match(refusal(proxyResourceName(sample), bytes), /^wire\./);
    }),
    { seed: 5, numRuns: 300 },
  );
});
