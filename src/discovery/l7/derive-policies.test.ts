import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { AuthorizationPolicy, AuthorizationRule, RequestAuthentication } from '../../api/istio.ts';
import type { HttpAuthorization } from '../../api/l7/index.ts';
import { spiffeId } from '../../api/names.ts';
import { compileHttpAuthorization } from '../../policy/http-authorization.ts';
import type { RequestFacts } from '../../policy/http-facts.ts';
import { gatewayClass, service, serviceEntry, waypoint } from '../fixtures.ts';
import { convertHttpAuthorization } from './authorization-convert.ts';
import { openProxyWorld, type ProxyWorld } from './fixtures.ts';

type Spec = NonNullable<AuthorizationPolicy['spec']>;

const uses = (name: string): { labels: Record<string, string> } => ({ labels: { 'istio.io/use-waypoint': name } });
const web = 'shop/web.shop.svc.cluster.local';
const toService = { kind: 'Service', group: '', name: 'web' };
const toGateway = { kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'wp' };
const toClass = { kind: 'GatewayClass', group: 'gateway.networking.k8s.io', name: 'istio-waypoint' };

function policy(name: string, spec: Spec, more: AuthorizationPolicy['metadata'] = {}): AuthorizationPolicy {
  return { metadata: { name, namespace: 'shop', generation: 1, ...more }, spec };
}

/** Service `web` behind waypoint `wp`. */
function openShop(): ProxyWorld {
  const world = openProxyWorld();
  world.put(world.sources.gateways, waypoint('wp'));
  world.put(world.sources.services, service('web', {}, uses('wp')), service('plain'));
  return world;
}

const edge: Gateway = {
  metadata: { name: 'edge', namespace: 'shop', labels: { app: 'edge' } },
  spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
};

function attached(world: ProxyWorld, gateway: string): readonly string[] {
  return world.resource(gateway, 'service', web).policies.authorization;
}

function verdict(world: ProxyWorld, name: string): string | undefined {
  const found = world.statuses.authorizationAttachments.get(`Kubernetes/${name}`)?.verdict;
  return found && `${found.status} ${found.reason}: ${found.message}`;
}

describe('the policies of a waypoint', () => {
  it('are those that name a Service, the Gateway or its class, the wide ones at the listener', () => {
    const world = openShop();
    const { authorizationPolicies } = world.sources;
    world.put(
      authorizationPolicies,
      policy('of-service', { targetRefs: [toService] }),
      policy('of-gateway', { targetRefs: [toGateway] }),
      policy('of-class', { targetRefs: [toClass] }, { namespace: 'istio-system' }),
      policy('of-pods', { selector: { matchLabels: { app: 'web' } } }),
      policy('of-namespace', {}),
    );
    assert.deepEqual(attached(world, 'shop/wp'), ['shop/of-service']);
    assert.deepEqual(world.resource('shop/wp', 'listener', 'mesh').policies.authorization, [
      'istio-system/of-class',
      'shop/of-gateway',
    ]);
    assert.deepEqual(
      world.names('shop/wp').filter((name) => name.startsWith('authorization/')),
      ['authorization/istio-system/of-class', 'authorization/shop/of-gateway', 'authorization/shop/of-service'],
    );
    assert.equal(verdict(world, 'shop/of-service'), 'True Accepted: bound to Service:shop/web');
    assert.equal(
      verdict(world, 'shop/of-gateway'),
      'True Accepted: bound to Gateway.gateway.networking.k8s.io:shop/wp',
    );
    assert.equal(verdict(world, 'shop/of-pods'), undefined);
  });

  it('stay at ztunnels where they select pods', () => {
    const world = openShop();
    world.put(
      world.sources.authorizationPolicies,
      policy('of-service', { targetRefs: [toService] }),
      policy('of-pods', { selector: { matchLabels: { app: 'web' } }, action: 'DENY', rules: [{}] }),
    );
    assert.deepEqual(
      [...world.authorizations.entries()].map(([key]) => key),
      ['shop/of-pods'],
    );
  });

  it('bind every host of a ServiceEntry', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    const hosts = ['a.example.com', 'b.example.com'];
    world.put(world.sources.serviceEntries, serviceEntry('ext', { hosts, resolution: 'DNS' }, uses('wp')));
    const target = { kind: 'ServiceEntry', group: 'networking.istio.io', name: 'ext' };
    world.put(world.sources.authorizationPolicies, policy('p', { targetRefs: [target] }));
    for (const host of hosts) {
      assert.deepEqual(world.resource('shop/wp', 'service', `shop/${host}`).policies.authorization, ['shop/p']);
    }
  });

  it('say what keeps them from being bound', () => {
    const world = openShop();
    world.put(world.sources.gatewayClasses, gatewayClass('foreign', 'example.com/controller'));
    const put = (name: string, ...targetRefs: NonNullable<Spec['targetRefs']>): string | undefined => {
      world.put(world.sources.authorizationPolicies, policy(name, { targetRefs }));
      return verdict(world, `shop/${name}`);
    };
    assert.match(put('a', { kind: 'Service', name: 'gone' }) ?? '', /^False TargetNotFound: Service:shop\/gone/);
    assert.match(put('b', { ...toGateway, name: 'gone' }) ?? '', /^False TargetNotFound/);
    assert.match(put('c', { kind: 'Service', name: 'plain' }) ?? '', /^False AncestorNotBound/);
    assert.match(put('d', toClass) ?? '', /^False Invalid: .*istio-system/);
    assert.match(put('e', { ...toClass, name: 'foreign' }) ?? '', /^False Invalid: .*another controller/);
    assert.match(put('f', { ...toClass, name: 'gone' }) ?? '', /^False TargetNotFound/);
    assert.match(put('g', { kind: 'Secret', name: 'x' }) ?? '', /^False Invalid/);
    assert.match(
      put('h', toService, { kind: 'Service', name: 'gone' }) ?? '',
      /gone: it does not exist; bound to .*web$/,
    );
    assert.deepEqual(attached(world, 'shop/wp'), ['shop/h']);
    // Once there is a waypoint, the policy is bound.
    world.put(world.sources.services, service('plain', {}, uses('wp')));
    assert.match(verdict(world, 'shop/c') ?? '', /^True Accepted/);
  });

  it('that ask an authorizer say when there is none', () => {
    const world = openShop();
    const custom = { targetRefs: [toService], action: 'CUSTOM' as const, provider: { name: 'ask' }, rules: [{}] };
    world.put(world.sources.authorizationPolicies, policy('p', custom));
    assert.match(
      verdict(world, 'shop/p') ?? '',
      /^False Invalid: .*no external authorizer "ask".* is denied; bound to/,
    );
    const at = { service: 'web.shop.svc.cluster.local', port: 80 };
    world.configureMesh({ extensionProviders: [{ name: 'ask', kind: 'envoyExtAuthzGrpc', ...at, failOpen: false }] });
    assert.match(verdict(world, 'shop/p') ?? '', /^True Accepted/);
  });

  it('that ask by HTTP say of which connections nobody can be asked', () => {
    const world = openShop();
    const { sources } = world;
    const ports = [
      { name: 'http', port: 80 },
      { name: 'tcp-db', port: 5432 },
      { name: 'tls', port: 8443 },
    ];
    const listeners = [
      { name: 'http', port: 80, protocol: 'HTTP' },
      { name: 'db', port: 9000, protocol: 'TCP' },
    ];
    world.put(sources.services, service('db', { ports }, uses('wp')));
    world.put(sources.gateways, { ...edge, spec: { ...edge.spec, listeners } });
    const address = { service: 'authz.shop.svc.cluster.local', port: 80, failOpen: false };
    const provider: ExtensionProvider = {
      name: 'ask',
      kind: 'envoyExtAuthzHttp',
      ...address,
      pathPrefix: '',
      includeRequestHeadersInCheck: [],
      includeAdditionalHeadersInCheck: {},
      headersToUpstreamOnAllow: [],
      headersToDownstreamOnDeny: [],
      headersToDownstreamOnAllow: [],
    };
    world.configureMesh({ extensionProviders: [provider] });
    const toDb = { kind: 'Service', group: '', name: 'db' };
    const toEdge = { ...toGateway, name: 'edge' };
    const tell = (spec: Spec, more: AuthorizationPolicy['metadata'] = {}): string => {
      const custom = { action: 'CUSTOM' as const, provider: { name: 'ask' }, rules: [{}], ...spec };
      world.put(sources.authorizationPolicies, policy('bytes', custom, more));
      return verdict(world, `${more.namespace ?? 'shop'}/bytes`) ?? '';
    };
    const said = (names: string): RegExp =>
      new RegExp(
        `^False Invalid: provider "ask" is asked by HTTP, and port ${names} speaks none: what the rules match`,
      );
    const db = 'db.shop.svc.cluster.local';
    assert.match(tell({ targetRefs: [toDb] }), said(`5432 of ${db}, 8443 of ${db}`));
    assert.match(tell({ targetRefs: [toGateway] }), said(`5432 of ${db}, 8443 of ${db}`));
    assert.match(tell({ targetRefs: [toEdge] }), said('9000 of listener db of shop/edge'));
    const ofRoot = { namespace: 'istio-system' };
    assert.match(tell({ targetRefs: [toClass] }, ofRoot), said(`5432 of ${db}, 8443 of ${db}`));
    const atPorts = (...list: string[]): Spec => ({
      targetRefs: [toDb],
      rules: [{ to: [{ operation: { ports: list } }] }],
    });
    assert.match(tell(atPorts('80', '5432')), said(`5432 of ${db}`));
    assert.match(tell(atPorts('80')), /^True Accepted/);
    const butPort = { key: 'destination.port', notValues: ['5432', '8443'] };
    assert.match(tell({ targetRefs: [toDb], rules: [{ when: [butPort] }] }), /^True Accepted/);
    assert.match(tell({ targetRefs: [toService] }), /^True Accepted/);
    assert.match(tell({ targetRefs: [toDb], action: 'DENY' }), /^True Accepted/);
    const onTrial = { annotations: { 'istio.io/dry-run': 'true' } };
    assert.match(tell({ targetRefs: [toDb] }, onTrial), /^True Accepted/);
    world.configureMesh({ extensionProviders: [{ name: 'ask', kind: 'envoyExtAuthzGrpc', ...address }] });
    assert.match(tell({ targetRefs: [toDb] }), /^True Accepted/);
  });

  it('go when they do, and change alone when they change', () => {
    const world = openShop();
    const p = policy('p', { targetRefs: [toService], rules: [{}] });
    world.put(world.sources.authorizationPolicies, p);
    world.proxyChanges();
    world.put(world.sources.authorizationPolicies, { ...p, spec: { ...p.spec, action: 'DENY' } });
    assert.deepEqual(world.proxyChanges(), ['shop/wp|authorization/shop/p']);
    world.remove(world.sources.authorizationPolicies, p);
    assert.deepEqual(attached(world, 'shop/wp'), []);
    assert.ok(!world.names('shop/wp').includes('authorization/shop/p'));
  });
});

describe('the policies of a gateway at the edge', () => {
  it('are also those that select its pods, of its namespace and of the root namespace', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, edge);
    const byName = { 'gateway.networking.k8s.io/gateway-name': 'edge' };
    world.put(
      world.sources.authorizationPolicies,
      policy('by-name', { selector: { matchLabels: byName } }),
      policy('by-label', { selector: { matchLabels: { app: 'edge' } } }),
      policy('of-namespace', {}),
      policy('of-mesh', {}, { namespace: 'istio-system' }),
      policy('others', { selector: { matchLabels: { app: 'web' } } }),
      policy('elsewhere', { selector: { matchLabels: byName } }, { namespace: 'other' }),
    );
    const [listener = ''] = world.names('shop/edge').filter((name) => name.startsWith('listener/'));
    assert.deepEqual(
      world.resource('shop/edge', 'listener', listener.slice('listener/'.length)).policies.authorization.toSorted(),
      ['istio-system/of-mesh', 'shop/by-label', 'shop/by-name', 'shop/of-namespace'],
    );
  });
});

const facts = (
  change: Partial<NonNullable<RequestFacts['request']>> = {},
  trustDomain = 'cluster.local',
): RequestFacts => ({
  connection: {
    sourceAddress: '10.0.0.1',
    sourceIdentity: spiffeId(trustDomain, 'web', 'front'),
    destinationAddress: '10.96.0.1',
    destinationPort: 80,
    sni: undefined,
  },
  remoteAddress: '203.0.113.9',
  request: {
    method: 'GET',
    scheme: 'http',
    authority: 'shop',
    path: '/a/b',
    headers: { fields: ['x', '1'] },
    ...change,
  },
  token: {
    issuer: 'https://issuer.example/realm',
    subject: 'alice',
    audiences: ['shop'],
    presenter: 'app',
    claims: { realm: { roles: ['dev'] } },
  },
});

function convert(spec: Spec): HttpAuthorization {
  return convertHttpAuthorization(policy('p', spec), ['cluster.local', 'old.example']).policy;
}

/** Whether a rule holds, told by an ALLOW and by a DENY of it. */
function holds(rule: AuthorizationRule, request = facts()): boolean | 'they differ' {
  const decide = (action: 'ALLOW' | 'DENY'): string =>
    compileHttpAuthorization([convert({ action, rules: [rule] })]).decide(request).kind;
  const allows = decide('ALLOW') === 'allow';
  return allows === (decide('DENY') === 'deny') ? allows : 'they differ';
}

const from = (source: NonNullable<NonNullable<AuthorizationRule['from']>[number]['source']>): AuthorizationRule => ({
  from: [{ source }],
});
const to = (operation: NonNullable<NonNullable<AuthorizationRule['to']>[number]['operation']>): AuthorizationRule => ({
  to: [{ operation }],
});
const when = (key: string, ...values: string[]): AuthorizationRule => ({ when: [{ key, values }] });

describe('the fields of an AuthorizationPolicy', () => {
  const rules: [string, AuthorizationRule, boolean | 'they differ'][] = [
    ['principals', from({ principals: ['cluster.local/ns/web/sa/front'] }), true],
    ['principals with another name of the trust domain', from({ principals: ['old.example/ns/web/*'] }), true],
    ['principals of another trust domain', from({ principals: ['other.example/ns/web/sa/front'] }), false],
    ['notPrincipals', from({ notPrincipals: ['*/sa/front'] }), false],
    ['namespaces', from({ namespaces: ['web'] }), true],
    ['namespaces with * inside', from({ namespaces: ['w*b'] }), true],
    ['namespaces with * around', from({ namespaces: ['*e*'] }), true],
    ['namespaces are no patterns otherwise', from({ namespaces: ['w.b'] }), false],
    ['a pattern with * and a dot', from({ namespaces: ['w.*b'] }), false],
    ['serviceAccounts with a namespace', from({ serviceAccounts: ['web/front'] }), true],
    ['serviceAccounts of the own namespace', from({ serviceAccounts: ['front'] }), false],
    ['trustDomains', from({ trustDomains: ['cluster.*'] }), true],
    ['notTrustDomains', from({ notTrustDomains: ['cluster.local'] }), false],
    ['ipBlocks', from({ ipBlocks: ['10.0.0.0/8'] }), true],
    ['remoteIpBlocks', from({ remoteIpBlocks: ['10.0.0.0/8'] }), false],
    ['requestPrincipals, exact', from({ requestPrincipals: ['https://issuer.example/realm/alice'] }), true],
    ['requestPrincipals of an issuer', from({ requestPrincipals: ['https://issuer.example/realm/*'] }), true],
    ['requestPrincipals: the last slash parts', from({ requestPrincipals: ['https://issuer.example/*'] }), false],
    ['requestPrincipals, start of an issuer', from({ requestPrincipals: ['https://issuer*'] }), true],
    ['requestPrincipals, subject alone', from({ requestPrincipals: ['*/alice'] }), true],
    ['requestPrincipals, end', from({ requestPrincipals: ['*ice'] }), true],
    ['any requestPrincipals', from({ requestPrincipals: ['*'] }), true],
    ['notRequestPrincipals', from({ notRequestPrincipals: ['*'] }), false],
    ['all fields of a source', from({ namespaces: ['web'], ipBlocks: ['192.0.2.0/24'] }), false],
    ['hosts', to({ hosts: ['SHOP'] }), true],
    ['ports', to({ ports: ['80'] }), true],
    ['notPorts', to({ notPorts: ['80'] }), false],
    ['methods', to({ methods: ['GET', 'HEAD'] }), true],
    ['paths', to({ paths: ['/a/*'] }), true],
    ['paths with a template', to({ paths: ['/{*}/b'] }), true],
    ['notPaths', to({ notPaths: ['/a/{**}'] }), false],
    ['request.headers', when('request.headers[X]', '1'), true],
    ['request.headers that are there', when('request.headers[x]', '*'), true],
    ['source.ip', when('source.ip', '10.0.0.1'), true],
    ['remote.ip', when('remote.ip', '203.0.113.0/24'), true],
    ['source.namespace', when('source.namespace', 'web'), true],
    ['source.principal', when('source.principal', '*'), true],
    ['source.serviceAccount', when('source.serviceAccount', 'web/front'), true],
    ['source.trustDomain', when('source.trustDomain', '*.local'), true],
    ['request.auth.principal', when('request.auth.principal', 'https://issuer.example/realm/alice'), true],
    ['request.auth.audiences', when('request.auth.audiences', 'shop'), true],
    ['request.auth.presenter', when('request.auth.presenter', 'app'), true],
    ['request.auth.claims, nested', when('request.auth.claims[realm][roles]', 'dev'), true],
    ['destination.ip', when('destination.ip', '10.96.0.0/16'), true],
    ['destination.port', when('destination.port', '80'), true],
    ['connection.sni', when('connection.sni', '*'), false],
    ['notValues of a condition', { when: [{ key: 'source.namespace', notValues: ['web'] }] }, false],
    // What nobody can tell or read: an ALLOW does not hold, a DENY does.
    ['a key of a filter that is not ours', when('experimental.envoy.filters.mysql_proxy[db]', 'x'), 'they differ'],
    ['a block that cannot be read', from({ ipBlocks: ['10.0.0.0/8', '10.0.0/8'] }), 'they differ'],
    ['a port that cannot be read', to({ ports: ['http'] }), 'they differ'],
    ['an empty value', from({ namespaces: ['web', ''] }), 'they differ'],
    ['a field of a newer API', from({ clusters: ['c'] } as object), 'they differ'],
    ['empty lists say nothing', from({ namespaces: [], ipBlocks: ['10.0.0.1'] }), true],
    ['an empty rule is everything', {}, true],
  ];
  for (const [name, rule, expected] of rules) it(name, () => assert.equal(holds(rule), expected));

  it('mean the same in each of the names of the trust domain', () => {
    const rule = from({ principals: ['cluster.local/ns/web/sa/front'] });
    assert.equal(holds(rule, facts({}, 'old.example')), true);
    assert.equal(holds(rule, facts({}, 'other.example')), false);
  });
});

describe('an AuthorizationPolicy', () => {
  it('says which of its rules hold otherwise than written', () => {
    const { notes } = convertHttpAuthorization(
      policy('p', { rules: [{}, when('experimental.envoy.filters.a[b]', 'x')] }),
      ['cluster.local'],
    );
    assert.deepEqual(notes, ['rules[1]: experimental.envoy.filters.a[b] is not supported: the rule never holds']);
  });

  it('keeps its action, its dry run and its provider', () => {
    const annotations = { 'istio.io/dry-run': 'true' };
    const dry = convertHttpAuthorization(policy('p', { action: 'DENY' }, { annotations }), ['cluster.local']).policy;
    assert.deepEqual([dry.action, dry.dryRun], ['deny', true]);
    const custom = convert({ action: 'CUSTOM', provider: { name: 'ask' }, rules: [{}] });
    assert.deepEqual([custom.action, custom.provider], ['custom', 'ask']);
    assert.equal(convert({ action: 'AUDIT' }).action, 'audit');
  });

  it('denies everything when nobody can read it', () => {
    for (const spec of [{ action: 'PERMIT' }, { rules: 'x' }, { rules: [null] }, { rules: [{ from: [null] }] }]) {
      const decided = compileHttpAuthorization([convert(spec as unknown as Spec)]).decide(facts());
      assert.equal(decided.kind, 'deny', JSON.stringify(spec));
    }
  });
});

describe('a RequestAuthentication', () => {
  const jwks = JSON.stringify({
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'm7JL1bNpGU2ZY1lZ1K1n0x1D2k3j4h5g6f7d8s9a0qQ' }],
  });
  const authentication = (...jwtRules: object[]): RequestAuthentication => ({
    metadata: { name: 'jwt', namespace: 'shop', generation: 4 },
    spec: { targetRefs: [toService], jwtRules },
  });
  const keysOf = (world: ProxyWorld): string[] =>
    world
      .resource('shop/wp', 'authentication', 'shop/jwt')
      .rules.map(({ keys }) => (keys.kind === 'jwks' ? keys.json : keys.reason));

  it('has its keys with it, or waits for those that are fetched', () => {
    const world = openShop();
    const { requestAuthentications, keySets } = world.sources;
    world.put(
      requestAuthentications,
      authentication(
        { issuer: 'a', jwks },
        { issuer: 'b', jwksUri: 'https://b.example/keys', timeout: '2s' },
        { issuer: 'https://c.example' },
        { issuer: 'd' },
        { issuer: 'e', jwks: '{' },
        { issuer: 'f', jwksUri: 'https://me:secret@f.example/keys' },
      ),
    );
    assert.deepEqual(Object.fromEntries(world.neededKeys.entries()), {
      'issuer https://c.example': { from: 'issuer', url: 'https://c.example', timeoutMs: 5000 },
      'jwks https://b.example/keys': { from: 'jwks', url: 'https://b.example/keys', timeoutMs: 2000 },
      'jwks https://me:secret@f.example/keys': {
        from: 'jwks',
        url: 'https://me:secret@f.example/keys',
        timeoutMs: 5000,
      },
    });
    const [a, b, c, d, e, f] = keysOf(world);
    assert.equal(a, jwks);
    assert.match(b ?? '', /not been fetched/);
    assert.match(c ?? '', /not been fetched/);
    assert.match(d ?? '', /set jwksUri or jwks/);
    assert.match(e ?? '', /not JSON/);
    assert.match(f ?? '', /https:\/\/\[hidden\]@f\.example\/keys have not been fetched/);
    keySets.set('jwks https://b.example/keys', { kind: 'jwks', json: 'B' });
    keySets.set('issuer https://c.example', { kind: 'unavailable', reason: 'connection refused' });
    world.put(world.sources.nodes);
    assert.deepEqual(keysOf(world).slice(1, 3), ['B', 'connection refused']);
    const told = world.statuses.authenticationAttachments.get('Kubernetes/shop/jwt');
    assert.deepEqual([told?.generation, told?.verdict.status, told?.verdict.reason], [4, 'False', 'Invalid']);
    assert.match(
      told?.verdict.message ?? '',
      /jwtRules\[2\]: no token of https:\/\/c\.example is accepted: connection refused/,
    );
  });

  it('says where tokens are and what becomes of them', () => {
    const world = openShop();
    world.put(
      world.sources.requestAuthentications,
      authentication({
        issuer: 'a',
        jwks,
        fromHeaders: [{ name: 'X-Token', prefix: 'T ' }],
        fromParams: ['t'],
        fromCookies: ['c'],
        outputPayloadToHeader: 'X-Payload',
        outputClaimToHeaders: [{ header: 'X-Role', claim: 'realm.role' }],
        forwardOriginalToken: true,
        audiences: ['shop'],
        spaceDelimitedClaims: ['roles'],
      }),
    );
    assert.deepEqual(world.resource('shop/wp', 'authentication', 'shop/jwt').rules, [
      {
        issuer: 'a',
        audiences: ['shop'],
        keys: { kind: 'jwks', json: jwks },
        fromHeaders: [{ name: 'x-token', prefix: 'T ' }],
        fromParams: ['t'],
        fromCookies: ['c'],
        outputPayloadToHeader: 'x-payload',
        outputClaimToHeaders: [{ header: 'x-role', claim: ['realm', 'role'] }],
        forwardOriginalToken: true,
        spaceDelimitedClaims: ['roles'],
      },
    ]);
    assert.deepEqual(world.resource('shop/wp', 'service', web).policies.authentication, ['shop/jwt']);
  });
});
