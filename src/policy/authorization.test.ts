import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCidr } from '../lib/ip.ts';
import { policyKey, spiffeId } from '../api/names.ts';
import { decideAuthorization, type ConnectionFacts, type PolicySet } from './authorization.ts';
import { emptyMatch, type Authorization, type AuthorizationMatch } from './model.ts';

function policy(
  action: Authorization['action'],
  clauses: Partial<AuthorizationMatch>[][] | undefined,
  more: Partial<Authorization> = {},
): Authorization {
  const rules =
    clauses === undefined
      ? []
      : [{ clauses: clauses.map((matches) => ({ matches: matches.map((m) => ({ ...emptyMatch, ...m })) })) }];
  return { name: `${action}-it`, namespace: 'shop', scope: 'namespace', action, rules, dryRun: false, ...more };
}

const set = (...policies: Authorization[]): PolicySet => ({ policies, missing: [] });

const meshed: ConnectionFacts = {
  sourceIp: '10.244.1.5',
  source: { id: spiffeId('cluster.local', 'web', 'front'), namespace: 'web', serviceAccount: 'front' },
  destinationIp: '10.244.2.7',
  destinationPort: 9080,
};
const plaintext: ConnectionFacts = { ...meshed, source: undefined };
const strict = policy('deny', [[{ notPrincipals: [{ kind: 'presence' }] }]], { name: 'istio_converted_static_strict' });

const table: [string, PolicySet, ConnectionFacts, string][] = [
  ['no policy allows', set(), plaintext, 'allow'],
  ['an ALLOW without rules denies all', set(policy('allow', undefined)), meshed, 'deny'],
  ['a DENY without rules denies none', set(policy('deny', undefined)), meshed, 'allow'],
  ['a rule without clauses matches everything', set(policy('deny', [])), plaintext, 'deny'],
  ['a clause without matches is true', set(policy('deny', [[]])), plaintext, 'deny'],
  ['a match without any field never matches', set(policy('deny', [[{}]])), meshed, 'allow'],
  ['an empty match does not allow either', set(policy('allow', [[{}]])), meshed, 'deny'],
  ['DENY wins over ALLOW', set(policy('allow', []), policy('deny', [])), meshed, 'deny'],
  ['STRICT refuses plaintext', set(strict), plaintext, 'deny'],
  ['STRICT admits an identity', set(strict), meshed, 'allow'],
  [
    'principal, exact',
    set(policy('allow', [[{ principals: [{ kind: 'exact', value: 'cluster.local/ns/web/sa/front' }] }]])),
    meshed,
    'allow',
  ],
  [
    'principal, other',
    set(policy('allow', [[{ principals: [{ kind: 'exact', value: 'cluster.local/ns/web/sa/back' }] }]])),
    meshed,
    'deny',
  ],
  [
    'principal, plaintext has none',
    set(policy('allow', [[{ principals: [{ kind: 'prefix', value: '' }] }]])),
    plaintext,
    'deny',
  ],
  [
    'not principal holds for plaintext',
    set(policy('deny', [[{ notPrincipals: [{ kind: 'prefix', value: 'cluster.local/ns/web' }] }]])),
    plaintext,
    'deny',
  ],
  ['namespace, suffix', set(policy('allow', [[{ namespaces: [{ kind: 'suffix', value: 'eb' }] }]])), meshed, 'allow'],
  [
    'namespace never holds for plaintext',
    set(policy('allow', [[{ namespaces: [{ kind: 'suffix', value: '' }] }]])),
    plaintext,
    'deny',
  ],
  [
    'service account',
    set(policy('allow', [[{ serviceAccounts: [{ namespace: 'web', serviceAccount: 'front' }] }]])),
    meshed,
    'allow',
  ],
  [
    'service account of another namespace',
    set(policy('allow', [[{ serviceAccounts: [{ namespace: 'x', serviceAccount: 'front' }] }]])),
    meshed,
    'deny',
  ],
  [
    'not service account',
    set(policy('deny', [[{ notServiceAccounts: [{ namespace: 'web', serviceAccount: 'front' }] }]])),
    meshed,
    'allow',
  ],
  ['source block', set(policy('allow', [[{ sourceIps: [parseCidr('10.244.1.0/24')] }]])), meshed, 'allow'],
  ['source block misses', set(policy('allow', [[{ sourceIps: [parseCidr('10.244.2.0/24')] }]])), meshed, 'deny'],
  ['not source block', set(policy('deny', [[{ notSourceIps: [parseCidr('10.244.1.5')] }]])), meshed, 'allow'],
  ['destination block', set(policy('deny', [[{ destinationIps: [parseCidr('10.244.2.7')] }]])), meshed, 'deny'],
  ['port', set(policy('allow', [[{ destinationPorts: [80, 9080] }]])), meshed, 'allow'],
  ['not port', set(policy('deny', [[{ notDestinationPorts: [9080] }]])), meshed, 'allow'],
  [
    'families are ANDed',
    set(policy('allow', [[{ destinationPorts: [9080], namespaces: [{ kind: 'exact', value: 'x' }] }]])),
    meshed,
    'deny',
  ],
  [
    'matches are ORed',
    set(policy('allow', [[{ destinationPorts: [1] }, { destinationPorts: [9080] }]])),
    meshed,
    'allow',
  ],
  [
    'clauses are ANDed',
    set(policy('allow', [[{ destinationPorts: [9080] }], [{ destinationPorts: [1] }]])),
    meshed,
    'deny',
  ],
  ['IPv4 facts never hit an IPv6 block', set(policy('allow', [[{ sourceIps: [parseCidr('::/0')] }]])), meshed, 'deny'],
  [
    'an unreadable source address is in no block of an ALLOW',
    set(policy('allow', [[{ sourceIps: [parseCidr('0.0.0.0/0')] }]])),
    { ...meshed, sourceIp: 'x' },
    'deny',
  ],
  [
    'nor outside of one',
    set(policy('allow', [[{ notSourceIps: [parseCidr('192.0.2.0/24')] }]])),
    { ...meshed, sourceIp: 'x' },
    'deny',
  ],
  [
    'and in every block of a DENY',
    set(policy('deny', [[{ sourceIps: [parseCidr('192.0.2.0/24')] }]])),
    { ...meshed, sourceIp: 'x' },
    'deny',
  ],
  [
    'but what asks for no address is decided without it',
    set(policy('allow', [[{ destinationPorts: [9080] }]])),
    { ...meshed, sourceIp: 'x' },
    'allow',
  ],
  [
    'a link-local address is known without its interface',
    set(policy('allow', [[{ sourceIps: [parseCidr('fe80::/10')] }]])),
    { ...meshed, sourceIp: 'fe80::1%eth0' },
    'allow',
  ],
  [
    'an IPv6 block is compared bit by bit',
    set(policy('deny', [[{ sourceIps: [parseCidr('fd00:1:2:8::/61')] }]])),
    { ...meshed, sourceIp: 'fd00:1:2:f::9' },
    'deny',
  ],
  [
    'an IPv6 block ends where it ends',
    set(policy('deny', [[{ sourceIps: [parseCidr('fd00:1:2:8::/61')] }]])),
    { ...meshed, sourceIp: 'fd00:1:2:10::9' },
    'allow',
  ],
  [
    'an IPv4 block hits an IPv4 address inside of an IPv6 one',
    set(policy('deny', [[{ sourceIps: [parseCidr('10.244.1.0/24')] }]])),
    { ...meshed, sourceIp: '::ffff:10.244.1.5' },
    'deny',
  ],
  [
    'and a block of such addresses is an IPv4 block',
    set(policy('deny', [[{ destinationIps: [parseCidr('::ffff:10.244.2.0/120')] }]])),
    meshed,
    'deny',
  ],
];

for (const [name, policies, facts, expected] of table) {
  test(`authorization: ${name}`, () => assert.equal(decideAuthorization(policies, facts).kind, expected));
}

test('reasons name the policy', () => {
  const denied = decideAuthorization(set(strict), plaintext);
  assert.deepEqual(denied, {
    kind: 'deny',
    policy: 'shop/istio_converted_static_strict',
    reason: 'explicitly denied by: shop/istio_converted_static_strict',
    findings: [],
  });
  const unmatched = decideAuthorization(set(policy('allow', undefined)), meshed);
  assert.equal(unmatched.kind, 'deny');
  assert.match(unmatched.kind === 'deny' ? unmatched.reason : '', /^allow policies exist, but none allowed: shop\//);
});

test('a policy that is named but unknown leaves the decision open, unless a DENY matches', () => {
  const missing = [policyKey('shop', 'late')];
  assert.equal(decideAuthorization({ policies: [policy('allow', [])], missing }, meshed).kind, 'unknown');
  assert.equal(decideAuthorization({ policies: [policy('deny', [])], missing }, meshed).kind, 'deny');
});

test('dry-run policies report and never decide', () => {
  const decision = decideAuthorization(
    set(policy('deny', [], { dryRun: true }), policy('allow', undefined, { dryRun: true })),
    meshed,
  );
  assert.equal(decision.kind, 'allow');
  assert.deepEqual(decision.findings, [
    { kind: 'dry-run', policy: 'shop/deny-it', wouldDeny: true },
    { kind: 'dry-run', policy: 'shop/allow-it', wouldDeny: true },
  ]);
});

test('a dry run says what would change, and nothing where another policy decides', () => {
  const trial = (name: string, action: 'allow' | 'deny', clauses: Partial<AuthorizationMatch>[][] | undefined) =>
    policy(action, clauses, { name, dryRun: true });
  const nobody = trial('nobody', 'allow', undefined);
  const wouldDeny = ({ findings }: ReturnType<typeof decideAuthorization>): unknown =>
    findings.map((finding) => finding.kind === 'dry-run' && [finding.policy, finding.wouldDeny]);
  const everybody = policy('allow', []);
  assert.deepEqual(wouldDeny(decideAuthorization(set(nobody), meshed)), [['shop/nobody', true]]);
  assert.deepEqual(wouldDeny(decideAuthorization(set(nobody, everybody), meshed)), [['shop/nobody', false]]);
  assert.deepEqual(wouldDeny(decideAuthorization(set(nobody, trial('all', 'allow', [])), meshed)), [
    ['shop/nobody', false],
    ['shop/all', false],
  ]);
  assert.deepEqual(wouldDeny(decideAuthorization(set(trial('no', 'deny', []), everybody), meshed)), [
    ['shop/no', true],
  ]);
  // Wherever it stands, it says nothing of what is refused anyway.
  for (const policies of [set(trial('no', 'deny', []), policy('deny', [])), set(policy('deny', []), nobody)]) {
    assert.deepEqual(wouldDeny(decideAuthorization(policies, meshed)), []);
  }
});

test('AUDIT policies report what they match, denied or not, and never decide', () => {
  const audit = policy('audit', [[{ namespaces: [{ kind: 'exact', value: 'web' }] }]]);
  const findings = [{ kind: 'audit', policy: 'shop/audit-it' }];
  assert.deepEqual(decideAuthorization(set(audit), meshed), { kind: 'allow', findings });
  assert.deepEqual(decideAuthorization(set(audit), plaintext), { kind: 'allow', findings: [] });
  assert.deepEqual(decideAuthorization(set(audit, policy('deny', [])), meshed), {
    kind: 'deny',
    policy: 'shop/deny-it',
    reason: 'explicitly denied by: shop/deny-it',
    findings,
  });
});

const anyMatch = fc.constantFrom<Partial<AuthorizationMatch>>(
  {},
  { destinationPorts: [9080] },
  { notDestinationPorts: [9080] },
  { principals: [{ kind: 'presence' }] },
  { notPrincipals: [{ kind: 'presence' }] },
  { sourceIps: [parseCidr('10.0.0.0/8')] },
);
const anyPolicy = fc
  .record({
    action: fc.constantFrom('allow' as const, 'deny' as const, 'audit' as const),
    clauses: fc.option(fc.array(fc.array(anyMatch, { maxLength: 3 }), { maxLength: 3 })),
    dryRun: fc.boolean(),
  })
  .map(({ action, clauses, dryRun }) => policy(action, clauses ?? undefined, { dryRun }));

test('adding a DENY never widens access, order never matters, and a missing policy never allows', () => {
  fc.assert(
    fc.property(
      fc.array(anyPolicy, { maxLength: 5 }),
      anyPolicy,
      fc.constantFrom(meshed, plaintext),
      (policies, extra, facts) => {
        const before = decideAuthorization(set(...policies), facts).kind;
        const withDeny = decideAuthorization(set(...policies, { ...extra, action: 'deny' }), facts).kind;
        if (before === 'deny') assert.equal(withDeny, 'deny');
        assert.equal(decideAuthorization(set(...policies.toReversed()), facts).kind, before);
        const uncertain = decideAuthorization({ policies, missing: [policyKey('a', 'b')] }, facts).kind;
        assert.notEqual(uncertain, 'allow');
      },
    ),
    { seed: 7 },
  );
});
