import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Attribute, AttributeMatch, AttributeValue, HttpAuthorization, TextMatch } from '../api/l7/index.ts';
import { spiffeId } from '../api/names.ts';
import { parseCidr, tryParseIp, cidrContains } from '../lib/ip.ts';
import { compileHttpAuthorization } from './http-authorization.ts';
import { traceHttpAuthorization } from './http-authorization-trace.ts';
import type { RequestFacts } from './http-facts.ts';
import { ipv4Number } from './http-ipv4.ts';

const token = {
  issuer: 'https://issuer.example',
  subject: 'alice',
  audiences: ['shop', 'bank'],
  presenter: 'app-1',
  claims: {
    groups: ['dev', 'ops'],
    level: 3,
    admin: true,
    nested: { deep: { role: 'x' } },
    'a.b': 'dotted',
    none: null,
  },
};

function facts(
  change: {
    readonly connection?: Partial<RequestFacts['connection']>;
    readonly request?: Partial<NonNullable<RequestFacts['request']>>;
    readonly remoteAddress?: string;
    readonly token?: RequestFacts['token'];
  } = {},
): RequestFacts {
  return {
    connection: {
      sourceAddress: '10.244.1.5',
      sourceIdentity: spiffeId('cluster.local', 'web', 'front'),
      destinationAddress: '10.96.0.9',
      destinationPort: 80,
      sni: undefined,
      ...change.connection,
    },
    remoteAddress: change.remoteAddress ?? '203.0.113.7',
    request: {
      method: 'GET',
      scheme: 'http',
      authority: 'Shop.Example:8080',
      path: '/cart/items?id=1',
      headers: { fields: ['x-role', 'admin', 'x-empty', ''] },
      ...change.request,
    },
    token: 'token' in change ? change.token : token,
  };
}

const connectionOnly: RequestFacts = { connection: facts().connection, remoteAddress: '10.244.1.5' };

function policy(
  action: HttpAuthorization['action'],
  rules: HttpAuthorization['rules'],
  more: Partial<HttpAuthorization> = {},
): HttpAuthorization {
  const name = more.name ?? 'shop/p';
  const [namespace = '', object = ''] = name.split('/');
  const origin = { kind: 'AuthorizationPolicy', namespace, name: object, generation: 1 };
  return { kind: 'authorization', name, origin, action, dryRun: false, rules, ...more };
}

const when = (...matches: AttributeMatch[]): HttpAuthorization['rules'] => [{ from: [], to: [], when: matches }];

function is(attribute: Attribute, ...values: (TextMatch | AttributeValue)[]): AttributeMatch {
  return { attribute, values: values.map(valueOf), notValues: [] };
}

function isNot(attribute: Attribute, ...values: (TextMatch | AttributeValue)[]): AttributeMatch {
  return { attribute, values: [], notValues: values.map(valueOf) };
}

const matchKinds: ReadonlySet<string> = new Set<TextMatch['kind']>(['exact', 'prefix', 'suffix', 'regex', 'present']);

function valueOf(value: TextMatch | AttributeValue): AttributeValue {
  return isMatch(value) ? { kind: 'text', match: value } : value;
}

function isMatch(value: TextMatch | AttributeValue): value is TextMatch {
  return matchKinds.has(value.kind);
}

const exact = (value: string): TextMatch => ({ kind: 'exact', value });
const prefix = (value: string): TextMatch => ({ kind: 'prefix', value });
const suffix = (value: string): TextMatch => ({ kind: 'suffix', value });
const regex = (value: string): TextMatch => ({ kind: 'regex', value });
const present: TextMatch = { kind: 'present' };
const cidr = (text: string): AttributeValue => ({ kind: 'cidr', cidr: parseCidr(text) });
const port = (number: number): AttributeValue => ({ kind: 'port', port: number });
const template = (value: string): AttributeValue => ({ kind: 'path-template', value });
const principal = (issuer: TextMatch, subject: TextMatch): AttributeValue => ({ kind: 'principal', issuer, subject });
const account = (namespace: string, serviceAccount: string): AttributeValue => ({
  kind: 'service-account',
  namespace,
  serviceAccount,
});
const header = (name: string): Attribute => ({ kind: 'header', name });
const claim = (...path: string[]): Attribute => ({ kind: 'claim', path });
const noIdentity = facts({ connection: { sourceIdentity: undefined } });
const noToken = facts({ token: undefined });
const path = (text: string): RequestFacts => facts({ request: { path: text } });
const host = (text: string): RequestFacts => facts({ request: { authority: text } });
const fields = (...list: string[]): RequestFacts => facts({ request: { headers: { fields: list } } });

/** Whether one attribute holds: an ALLOW of it lets the request pass, and a DENY of it refuses it. */
const table: [string, AttributeMatch, RequestFacts, boolean][] = [
  [
    'a principal is compared without spiffe://',
    is({ kind: 'source-principal' }, exact('cluster.local/ns/web/sa/front')),
    facts(),
    true,
  ],
  ['a principal, by prefix', is({ kind: 'source-principal' }, prefix('cluster.local/ns/web/')), facts(), true],
  ['a principal, by suffix', is({ kind: 'source-principal' }, suffix('/sa/front')), facts(), true],
  ['any principal', is({ kind: 'source-principal' }, present), facts(), true],
  ['no caller without identity has a principal', is({ kind: 'source-principal' }, present), noIdentity, false],
  [
    'an empty prefix is no principal of a caller without identity',
    is({ kind: 'source-principal' }, prefix('')),
    noIdentity,
    false,
  ],
  [
    'a caller without identity is not the unwanted principal',
    isNot({ kind: 'source-principal' }, suffix('x')),
    noIdentity,
    true,
  ],
  ['a namespace', is({ kind: 'source-namespace' }, exact('web')), facts(), true],
  ['a namespace is compared whole', is({ kind: 'source-namespace' }, exact('we')), facts(), false],
  ['a namespace with * in the middle', is({ kind: 'source-namespace' }, regex('w.*b')), facts(), true],
  ['a regular expression fits the whole text', is({ kind: 'source-namespace' }, regex('w')), facts(), false],
  ['a service account', is({ kind: 'source-service-account' }, account('web', 'front')), facts(), true],
  [
    'a service account of another namespace',
    is({ kind: 'source-service-account' }, account('shop', 'front')),
    facts(),
    false,
  ],
  ['a trust domain', is({ kind: 'source-trust-domain' }, exact('cluster.local')), facts(), true],
  ['a trust domain, by prefix', is({ kind: 'source-trust-domain' }, prefix('cluster.')), facts(), true],
  ['the source is the peer', is({ kind: 'source-ip' }, cidr('10.244.0.0/16')), facts(), true],
  ['the source is not the original client', is({ kind: 'source-ip' }, cidr('203.0.113.0/24')), facts(), false],
  ['the original client', is({ kind: 'remote-ip' }, cidr('203.0.113.7')), facts(), true],
  ['not the original client', isNot({ kind: 'remote-ip' }, cidr('203.0.113.0/24')), facts(), false],
  ['every IPv4 address', is({ kind: 'remote-ip' }, cidr('0.0.0.0/0')), facts(), true],
  ['IPv4 is in no block of IPv6', is({ kind: 'remote-ip' }, cidr('::/0')), facts(), false],
  [
    'IPv4 inside of IPv6 is IPv4',
    is({ kind: 'remote-ip' }, cidr('203.0.113.0/24')),
    facts({ remoteAddress: '::ffff:203.0.113.7' }),
    true,
  ],
  [
    'a link-local address is known without its interface',
    is({ kind: 'source-ip' }, cidr('fe80::/10')),
    facts({ connection: { sourceAddress: 'fe80::1%eth0' } }),
    true,
  ],
  ['IPv6', is({ kind: 'remote-ip' }, cidr('2001:db8::/32')), facts({ remoteAddress: '2001:db8::1' }), true],
  ['the address that the client asked for', is({ kind: 'destination-ip' }, cidr('10.96.0.9')), facts(), true],
  ['a port', is({ kind: 'destination-port' }, port(80), port(443)), facts(), true],
  ['not a port', isNot({ kind: 'destination-port' }, port(80)), facts(), false],
  [
    'a request principal',
    is({ kind: 'request-principal' }, principal(exact('https://issuer.example'), exact('alice'))),
    facts(),
    true,
  ],
  [
    'a request principal: issuer and subject never swap characters',
    is({ kind: 'request-principal' }, principal(exact('https://issuer.example/a'), exact('b'))),
    facts({ token: { ...token, subject: 'a/b' } }),
    false,
  ],
  ['any request principal', is({ kind: 'request-principal' }, principal(present, present)), facts(), true],
  ['no token has no request principal', is({ kind: 'request-principal' }, principal(present, present)), noToken, false],
  [
    'a token without a subject has no request principal',
    is({ kind: 'request-principal' }, principal(prefix('https://'), prefix(''))),
    facts({ token: { ...token, subject: '' } }),
    false,
  ],
  [
    'no token is not the unwanted request principal',
    isNot({ kind: 'request-principal' }, principal(present, present)),
    noToken,
    true,
  ],
  ['one of the audiences', is({ kind: 'request-audiences' }, exact('bank')), facts(), true],
  ['none of the audiences', is({ kind: 'request-audiences' }, exact('ban')), facts(), false],
  ['an unwanted audience among others', isNot({ kind: 'request-audiences' }, exact('bank')), facts(), false],
  ['the presenter', is({ kind: 'request-presenter' }, prefix('app-')), facts(), true],
  ['a claim that is a list', is(claim('groups'), exact('ops')), facts(), true],
  ['a nested claim', is(claim('nested', 'deep', 'role'), exact('x')), facts(), true],
  ['a claim that is an object is no text', is(claim('nested', 'deep'), present), facts(), false],
  ['a claim whose name has a dot', is(claim('a.b'), exact('dotted')), facts(), true],
  ['a claim that is a number', is(claim('level'), exact('3')), facts(), true],
  ['a claim that is a boolean', is(claim('admin'), exact('true')), facts(), true],
  ['a claim that is null is not there', is(claim('none'), present), facts(), false],
  ['what objects inherit is no claim', is(claim('constructor', 'name'), present), facts(), false],
  ['claims without a token', is(claim('groups'), present), noToken, false],
  ['a header', is(header('x-role'), exact('admin')), facts(), true],
  ['a header is compared with its case', is(header('x-role'), exact('Admin')), facts(), false],
  ['a header that is there', is(header('x-role'), present), facts(), true],
  ['a header that is absent', is(header('x-other'), present), facts(), false],
  ['not a header value', isNot(header('x-role'), exact('guest')), facts(), true],
  ['the authority as a header', is(header(':authority'), exact('Shop.Example:8080')), facts(), true],
  ['Host is the authority', is(header('host'), prefix('Shop')), facts(), true],
  ['the method as a header', is(header(':method'), exact('GET')), facts(), true],
  [
    'a host is compared without case, with the port as sent',
    is({ kind: 'host' }, exact('shop.example:8080')),
    facts(),
    true,
  ],
  [
    'a policy for the bare name does not fit a name with a port',
    is({ kind: 'host' }, exact('shop.example')),
    facts(),
    false,
  ],
  ['a host, by prefix', is({ kind: 'host' }, prefix('SHOP.example:')), facts(), true],
  ['a host, by suffix', is({ kind: 'host' }, suffix('.EXAMPLE')), host('a.example'), true],
  ['an unwanted host', isNot({ kind: 'host' }, exact('SHOP.example:8080')), facts(), false],
  ['a method', is({ kind: 'method' }, exact('GET')), facts(), true],
  ['a method is compared with its case', is({ kind: 'method' }, exact('get')), facts(), false],
  ['a path is compared without the query', is({ kind: 'path' }, exact('/cart/items')), facts(), true],
  ['a path is compared without the fragment', is({ kind: 'path' }, exact('/cart')), path('/cart#x?y'), true],
  ['a path, by prefix', is({ kind: 'path' }, prefix('/cart')), facts(), true],
  ['a path, by suffix', is({ kind: 'path' }, suffix('?id=1')), facts(), false],
  ['{*} is one segment', is({ kind: 'path' }, template('/cart/{*}')), facts(), true],
  ['{*} is not two segments', is({ kind: 'path' }, template('/{*}')), facts(), false],
  ['{*} is not an empty segment', is({ kind: 'path' }, template('/cart/{*}')), path('/cart/'), false],
  ['{*} in the middle', is({ kind: 'path' }, template('/a/{*}/c')), path('/a/b/c'), true],
  ['{**} is any number of segments', is({ kind: 'path' }, template('/{**}')), facts(), true],
  ['{**} is also none', is({ kind: 'path' }, template('/cart/{**}')), path('/cart/'), true],
  ['{**} keeps the slash before it', is({ kind: 'path' }, template('/cart/{**}')), path('/cart'), false],
  ['{**} before more text', is({ kind: 'path' }, template('/{**}/end')), path('/a/b/end'), true],
  ['text of a template is literal', is({ kind: 'path' }, template('/a.b/{*}')), path('/axb/c'), false],
  ['SNI', is({ kind: 'sni' }, exact('a.example')), facts({ connection: { sni: 'a.example' } }), true],
  ['a connection without TLS has no SNI', is({ kind: 'sni' }, present), facts(), false],
  ['values are alternatives', is(header('x-role'), exact('guest'), prefix('adm')), facts(), true],
  [
    'nothing wanted and nothing unwanted holds',
    { attribute: { kind: 'path' }, values: [], notValues: [] },
    facts(),
    true,
  ],
  [
    'a wanted value that is also unwanted',
    { ...is(header('x-role'), present), notValues: [valueOf(exact('admin'))] },
    facts(),
    false,
  ],
];

for (const [name, match, request, holds] of table) {
  test(`attribute: ${name}`, () => {
    const allow = compileHttpAuthorization([policy('allow', when(match))]).decide(request);
    const deny = compileHttpAuthorization([policy('deny', when(match))]).decide(request);
    assert.deepEqual([allow.kind, deny.kind], holds ? ['allow', 'deny'] : ['deny', 'allow']);
    const { policies } = traceHttpAuthorization([policy('allow', when(match))], request);
    assert.equal(policies[0]?.outcome, holds ? 'matched' : 'nearly');
  });
}

test('a header that comes twice grants only what all its values grant, and is refused for any of them', () => {
  const both = fields('x-role', 'admin', 'x-role', 'guest');
  const decide = (action: 'allow' | 'deny', match: AttributeMatch, request: RequestFacts): string =>
    compileHttpAuthorization([policy(action, when(match))]).decide(request).kind;
  assert.equal(decide('allow', is(header('x-role'), exact('admin')), both), 'deny');
  assert.equal(decide('allow', is(header('x-role'), prefix('admin')), both), 'deny');
  assert.equal(decide('allow', is(header('x-role'), exact('admin'), exact('guest')), both), 'allow');
  assert.equal(decide('allow', isNot(header('x-role'), exact('guest')), both), 'deny');
  assert.equal(decide('deny', is(header('x-role'), exact('guest')), both), 'deny');
  assert.equal(decide('deny', is(header('x-role'), exact('admin,guest')), both), 'deny');
  assert.equal(decide('deny', isNot(header('x-role'), exact('admin')), both), 'deny');
  assert.equal(
    decide('deny', isNot(header('x-role'), exact('admin')), fields('x-role', 'admin', 'x-role', 'admin')),
    'allow',
  );
});

test('what is no address is in no block of an ALLOW nor outside of one, and refused by every DENY that asks for it', () => {
  // A port behind it, as some proxies write it.
  for (const remoteAddress of ['unknown', '203.0.113.7:4711', '']) {
    const decide = (action: 'allow' | 'deny', match: AttributeMatch): string =>
      compileHttpAuthorization([policy(action, when(match))]).decide(facts({ remoteAddress })).kind;
    for (const match of [
      is({ kind: 'remote-ip' }, cidr('0.0.0.0/0')),
      is({ kind: 'remote-ip' }, cidr('203.0.113.0/24')),
      isNot({ kind: 'remote-ip' }, cidr('192.0.2.0/24')),
    ]) {
      assert.equal(decide('allow', match), 'deny');
      assert.equal(decide('deny', match), 'deny');
    }
    assert.equal(decide('allow', is({ kind: 'source-ip' }, cidr('10.0.0.0/8'))), 'allow');
    assert.equal(decide('deny', isNot({ kind: 'source-ip' }, cidr('10.0.0.0/8'))), 'allow');
  }
});

const everything: HttpAuthorization['rules'] = [{ from: [], to: [], when: [] }];
const fromWeb: AttributeMatch = is({ kind: 'source-namespace' }, exact('web'));
const fromShop: AttributeMatch = is({ kind: 'source-namespace' }, exact('shop'));
const reads: AttributeMatch = is({ kind: 'method' }, exact('GET'));
const writes: AttributeMatch = is({ kind: 'method' }, exact('POST'));

const orders: [string, HttpAuthorization[], 'allow' | 'deny', string | undefined][] = [
  ['no policy allows', [], 'allow', undefined],
  ['ALLOW without rules denies all', [policy('allow', [])], 'deny', undefined],
  ['ALLOW of everything', [policy('allow', everything)], 'allow', 'ns[shop]-policy[p]-rule[0]'],
  ['DENY of everything', [policy('deny', everything)], 'deny', 'ns[shop]-policy[p]-rule[0]'],
  ['DENY without rules denies nothing', [policy('deny', [])], 'allow', undefined],
  [
    'DENY before ALLOW',
    [policy('allow', everything), policy('deny', everything, { name: 'root/d' })],
    'deny',
    'ns[root]-policy[d]-rule[0]',
  ],
  [
    'one ALLOW is enough',
    [policy('allow', []), policy('allow', everything, { name: 'shop/q' })],
    'allow',
    'ns[shop]-policy[q]-rule[0]',
  ],
  ['the rule is named', [policy('deny', [...when(writes), ...when(reads)])], 'deny', 'ns[shop]-policy[p]-rule[1]'],
  [
    'alternatives of from',
    [policy('allow', [{ from: [[fromShop], [fromWeb]], to: [], when: [] }])],
    'allow',
    'ns[shop]-policy[p]-rule[0]',
  ],
  [
    'all attributes of one source',
    [policy('allow', [{ from: [[fromShop, fromWeb]], to: [], when: [] }])],
    'deny',
    undefined,
  ],
  ['from and to', [policy('allow', [{ from: [[fromWeb]], to: [[writes]], when: [] }])], 'deny', undefined],
  [
    'from, to and when',
    [policy('allow', [{ from: [[fromWeb]], to: [[writes], [reads]], when: [is(header('x-role'), present)] }])],
    'allow',
    'ns[shop]-policy[p]-rule[0]',
  ],
  ['all conditions', [policy('allow', when(reads, writes))], 'deny', undefined],
  ['CUSTOM decides nothing here', [policy('custom', everything, { provider: 'x' })], 'allow', undefined],
  ['AUDIT decides nothing', [policy('audit', everything)], 'allow', undefined],
  ['a dry-run DENY decides nothing', [policy('deny', everything, { dryRun: true })], 'allow', undefined],
  ['a dry-run ALLOW counts as none', [policy('allow', [], { dryRun: true })], 'allow', undefined],
];

for (const [name, policies, kind, rule] of orders) {
  test(`authorization at L7: ${name}`, () => {
    const decision = compileHttpAuthorization(policies).decide(facts());
    assert.equal(decision.kind, kind);
    assert.equal(decision.rule?.name, rule);
  });
}

test('a refusal says which policy it comes from, or which did not allow', () => {
  const denied = compileHttpAuthorization([policy('deny', everything)]).decide(facts());
  assert.equal(denied.kind === 'deny' && denied.reason, 'policy shop/p denies it, by rule 0');
  const names = ['shop/a', 'shop/b', 'shop/c', 'shop/d'];
  const unmatched = compileHttpAuthorization(names.map((name) => policy('allow', [], { name }))).decide(facts());
  assert.equal(
    unmatched.kind === 'deny' && unmatched.reason,
    'policies allow some requests, but none allows this one: shop/a, shop/b, shop/c, ...',
  );
});

test('what a proxy cannot know takes an ALLOW rule away, and leaves the rest of a DENY', () => {
  const unknown: AttributeMatch = is({ kind: 'unsupported', key: 'experimental.x' }, present);
  const decide = (rules: HttpAuthorization['rules'], action: 'allow' | 'deny'): string =>
    compileHttpAuthorization([policy(action, rules)]).decide(facts()).kind;
  assert.equal(decide([{ from: [[fromWeb], [unknown]], to: [], when: [] }], 'allow'), 'deny');
  assert.equal(decide([...when(unknown), ...when(reads)], 'allow'), 'allow');
  assert.equal(decide(when(unknown, reads), 'deny'), 'deny');
  assert.equal(decide(when(unknown, writes), 'deny'), 'allow');
  assert.equal(decide(when(unknown), 'deny'), 'deny');
});

test('of a connection without HTTP, attributes of requests are unknown and those of the connection are not', () => {
  const decide = (action: 'allow' | 'deny', ...matches: AttributeMatch[]): string =>
    compileHttpAuthorization([policy(action, when(...matches))], 'tcp').decide(connectionOnly).kind;
  for (const match of [
    reads,
    is({ kind: 'path' }, prefix('/')),
    is({ kind: 'host' }, present),
    is(header('x'), present),
    is(claim('x'), present),
    is({ kind: 'request-audiences' }, present),
    is({ kind: 'request-principal' }, principal(present, present)),
    is({ kind: 'request-presenter' }, present),
  ]) {
    assert.equal(decide('allow', fromWeb, match), 'deny');
    assert.equal(decide('deny', fromWeb, match), 'deny');
    assert.equal(decide('deny', fromShop, match), 'allow');
  }
  for (const match of [
    fromWeb,
    is({ kind: 'source-ip' }, cidr('10.0.0.0/8')),
    is({ kind: 'remote-ip' }, cidr('10.0.0.0/8')),
    is({ kind: 'destination-port' }, port(80)),
    isNot({ kind: 'sni' }, present),
  ]) {
    assert.equal(decide('allow', match), 'allow');
  }
});

test('AUDIT and dry runs say what they would have done, and to what', () => {
  const dryDeny = policy('deny', everything, { name: 'shop/dry-deny', dryRun: true });
  const dryAllow = policy('allow', when(writes), { name: 'shop/dry-allow', dryRun: true });
  const audit = policy('audit', when(reads), { name: 'shop/audit' });
  const findings = (...policies: HttpAuthorization[]): string[] =>
    compileHttpAuthorization(policies)
      .decide(facts())
      .findings.map((finding) =>
        finding.kind === 'audit'
          ? `audit ${finding.rule.name}`
          : `${finding.policy} ${finding.rule?.index ?? 'none'} ${finding.wouldDeny ? 'would deny' : 'would not deny'}`,
      );
  assert.deepEqual(findings(dryDeny, dryAllow, audit), [
    'audit ns[shop]-policy[audit]-rule[0]',
    'shop/dry-deny 0 would deny',
    'shop/dry-allow none would deny',
  ]);
  // Another policy allows the request, or it is refused anyway.
  assert.deepEqual(findings(dryAllow, policy('allow', everything)), ['shop/dry-allow none would not deny']);
  assert.deepEqual(findings(dryDeny, policy('deny', everything)), ['shop/dry-deny 0 would not deny']);
  assert.deepEqual(findings(policy('deny', everything)), []);
});

test('a trace tells which attribute kept a policy from matching, and what the request had', () => {
  const trace = traceHttpAuthorization(
    [
      policy('allow', [
        { from: [[fromShop, writes], [fromWeb]], to: [[writes]], when: [is(header('x-role'), present)] },
      ]),
      policy('deny', when(is({ kind: 'path' }, prefix('/admin')), writes), { name: 'shop/no-admin' }),
    ],
    facts(),
  );
  assert.equal(trace.decision.kind, 'deny');
  assert.deepEqual(
    trace.policies.map(({ policy: name, outcome }) => `${name} ${outcome}`),
    ['shop/no-admin no-match', 'shop/p nearly'],
  );
  assert.deepEqual(trace.policies[1]?.rules[0]?.missing, [
    { attribute: 'method', wanted: ['POST'], unwanted: [], found: ['GET'] },
  ]);
  assert.deepEqual(trace.policies[0]?.rules[0]?.missing[0], {
    attribute: 'path',
    wanted: ['/admin*'],
    unwanted: [],
    found: ['/cart/items'],
  });
});

test('dotted addresses are read as the general parser reads them', () => {
  const part = fc.oneof(fc.nat(260).map(String), fc.constantFrom('', '01', '00', ' 1', '1e1', '-1', '0x1', '1.'));
  const address = fc.oneof(
    fc.ipV4(),
    fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
  );
  fc.assert(
    fc.property(address, (text) => {
      const bytes = tryParseIp(text);
      const number = bytes ? Number(`0x${Buffer.from(bytes).toString('hex')}`) : -1;
      assert.equal(ipv4Number(text), number);
    }),
    { seed: 7, numRuns: 2000 },
  );
});

test('blocks hold the addresses that they hold as bytes', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.nat(32), (block, address, bits) => {
      const parsed = parseCidr(`${block}/${bits}`);
      const expected = cidrContains(parsed, tryParseIp(address) ?? new Uint8Array());
      const match = is({ kind: 'remote-ip' }, { kind: 'cidr', cidr: parsed });
      const decision = compileHttpAuthorization([policy('allow', when(match))]).decide(
        facts({ remoteAddress: address }),
      );
      assert.equal(decision.kind === 'allow', expected);
    }),
    { seed: 8, numRuns: 1000 },
  );
});
