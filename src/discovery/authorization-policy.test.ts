import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { AuthorizationPolicy, AuthorizationRule, AuthorizationSource } from '../api/istio.ts';
import { spiffeId } from '../api/names.ts';
import { cidrContains, parseIp, tryParseCidr } from '../lib/ip.ts';
import { decideAuthorization, type ConnectionFacts } from '../policy/index.ts';
import { convertAuthorizationPolicy } from './authorization-policy.ts';

function policy(spec: AuthorizationPolicy['spec'], annotations: Record<string, string> = {}): AuthorizationPolicy {
  return { metadata: { name: 'p', namespace: 'team', annotations }, ...(spec ? { spec } : {}) };
}

const client: ConnectionFacts = {
  sourceIp: '10.244.1.2',
  source: { id: spiffeId('cluster.local', 'team', 'web'), namespace: 'team', serviceAccount: 'web' },
  destinationIp: '10.244.2.2',
  destinationPort: 8080,
};

function allowed(spec: AuthorizationPolicy['spec'], facts: ConnectionFacts = client): boolean {
  const { authorization } = convertAuthorizationPolicy(policy(spec), 'istio-system');
  return decideAuthorization({ policies: authorization ? [authorization] : [], missing: [] }, facts).kind === 'allow';
}

function message(spec: AuthorizationPolicy['spec'], annotations?: Record<string, string>): string {
  const { verdict } = convertAuthorizationPolicy(policy(spec, annotations), 'istio-system');
  return `${verdict?.status} ${verdict?.reason}: ${verdict?.message}`;
}

describe('an AuthorizationPolicy', () => {
  it('binds the mesh, its namespace, or what it selects', () => {
    const scopeOf = (one: AuthorizationPolicy): string | undefined =>
      convertAuthorizationPolicy(one, 'istio-system').authorization?.scope;
    assert.equal(scopeOf(policy({})), 'namespace');
    assert.equal(scopeOf({ metadata: { name: 'p', namespace: 'istio-system' } }), 'global');
    assert.equal(scopeOf(policy({ selector: { matchLabels: { app: 'x' } } })), 'workload-selector');
  });

  it('that only L4 can decide is taken as written', () => {
    const rules: AuthorizationRule[] = [
      {
        from: [
          { source: { principals: ['cluster.local/ns/team/*'], notNamespaces: ['other'] } },
          { source: { serviceAccounts: ['api'] } },
        ],
        to: [{ operation: { ports: ['8080'] } }],
        when: [{ key: 'source.ip', values: ['10.244.0.0/16'] }],
      },
    ];
    assert.equal(message({ rules }), 'True Accepted: attached to ztunnel');
    assert.ok(allowed({ rules }));
    assert.ok(!allowed({ rules }, { ...client, destinationPort: 9090 }));
    assert.ok(!allowed({ rules }, { ...client, source: undefined }));
    assert.ok(!allowed({ rules, action: 'DENY' }));
    assert.ok(allowed({ rules, action: 'DENY' }, { ...client, sourceIp: '192.0.2.1' }));
  });

  it('without rules allows nothing, and with an empty rule everything', () => {
    assert.ok(!allowed({}));
    assert.ok(allowed({ rules: [{}] }));
    assert.ok(allowed({ action: 'DENY' }));
    assert.ok(!allowed({ action: 'DENY', rules: [{}] }));
  });

  it('loses the ALLOW rules that need a waypoint, and says which', () => {
    const rules = [
      { to: [{ operation: { methods: ['GET'], ports: ['8080'] } }] },
      { from: [{ source: { namespaces: ['team'] } }] },
    ];
    assert.ok(allowed({ rules }));
    assert.ok(!allowed({ rules: rules.slice(0, 1) }));
    assert.equal(
      message({ rules }),
      'False UnsupportedValue: rules[0]: to[0].operation.methods needs a waypoint: the rule is left out, so it allows nothing',
    );
  });

  it('keeps the L4 remainder of a DENY, and denies everything where none is left', () => {
    const remainder = [{ from: [{ source: { namespaces: ['team'] } }], to: [{ operation: { paths: ['/admin'] } }] }];
    assert.ok(!allowed({ action: 'DENY', rules: remainder }));
    assert.ok(allowed({ action: 'DENY', rules: remainder }, { ...client, source: undefined }));
    const nothing = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    assert.ok(!allowed({ action: 'DENY', rules: nothing }));
    assert.match(message({ action: 'DENY', rules: nothing }), /nothing is left of the rule, so it denies everything/);
  });

  it('with CUSTOM denies what it matches, with AUDIT decides nothing, and both say so', () => {
    const rules = [{ from: [{ source: { namespaces: ['team'] } }] }];
    assert.ok(!allowed({ action: 'CUSTOM', rules }));
    assert.ok(allowed({ action: 'CUSTOM', rules }, { ...client, source: undefined }));
    assert.match(message({ action: 'CUSTOM', rules }), /^False UnsupportedValue: action CUSTOM needs a waypoint/);
    assert.ok(allowed({ action: 'AUDIT', rules }));
    assert.match(message({ action: 'AUDIT', rules }), /^True Accepted: attached to ztunnel, which logs/);
    const paths = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    assert.match(
      message({ action: 'AUDIT', rules: paths }),
      /^False UnsupportedValue: rules\[0\]: .* needs a waypoint/,
    );
  });

  it('with an action or a shape that nobody knows denies everything', () => {
    assert.ok(!allowed({ action: 'LATER' as never }));
    assert.ok(!allowed({ rules: [null as never] }));
    assert.match(
      message({ rules: [null as never] }),
      /^False Invalid: the policy cannot be read, everything is denied/,
    );
  });

  it('never opens because a block cannot be read', () => {
    const bad = '10.0.0.0/40';
    const from = (source: AuthorizationSource): AuthorizationRule[] => [{ from: [{ source }] }];
    assert.ok(!allowed({ rules: from({ ipBlocks: [bad] }) }));
    assert.ok(!allowed({ rules: from({ notIpBlocks: [bad] }) }));
    assert.ok(allowed({ rules: from({ ipBlocks: [bad, '10.244.1.2'] }) }));
    assert.ok(!allowed({ action: 'DENY', rules: from({ ipBlocks: [bad] }) }));
    assert.ok(!allowed({ action: 'DENY', rules: from({ namespaces: ['team'], notIpBlocks: [bad] }) }));
    assert.match(
      message({ rules: from({ ipBlocks: [bad] }) }),
      /cannot read from\[0\]\.source\.ipBlocks "10\.0\.0\.0\/40"/,
    );
  });

  it('enforces trust domains, alone and with principals', () => {
    const from = (source: AuthorizationSource): AuthorizationRule[] => [{ from: [{ source }] }];
    assert.ok(allowed({ rules: from({ trustDomains: ['cluster.local'] }) }));
    assert.ok(!allowed({ rules: from({ trustDomains: ['cluster'] }) }));
    assert.ok(!allowed({ rules: from({ trustDomains: ['cluster.local'] }) }, { ...client, source: undefined }));
    assert.ok(!allowed({ rules: from({ trustDomains: ['other'], principals: ['*'] }) }));
    assert.ok(!allowed({ rules: from({ notTrustDomains: ['cluster.*'] }) }));
    assert.ok(!allowed({ action: 'DENY', rules: from({ trustDomains: ['*.local'] }) }));
    assert.match(
      message({ rules: from({ trustDomains: ['*.local'] }) }),
      /cannot read from\[0\]\.source\.trustDomains/,
    );
  });

  it('in dry run is sent as such', () => {
    for (const text of ['true', 'True', 'TRUE', 't', 'T', '1']) {
      const annotations = { 'istio.io/dry-run': text };
      assert.equal(convertAuthorizationPolicy(policy({}, annotations), 'istio-system').authorization?.dryRun, true);
      assert.match(message({}, annotations), /^True Accepted: dry run/);
    }
    for (const text of ['false', '0', 'yes', '']) {
      const { authorization } = convertAuthorizationPolicy(policy({}, { 'istio.io/dry-run': text }), 'istio-system');
      assert.equal(authorization?.dryRun, false);
    }
  });

  it('with targets is left to waypoints', () => {
    assert.deepEqual(
      convertAuthorizationPolicy(policy({ targetRefs: [{ kind: 'Service', name: 'x' }] }), 'istio-system'),
      {},
    );
  });

  it('allows at most and denies at least what it says, whatever L7 and unreadable values would decide', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 3 }),
        facts,
        fc.infiniteStream(fc.boolean()),
        (rules, connection, coin) => {
          const unknown = (): boolean => coin.next().value === true;
          const truth = rules.some((one) => holds(one, connection, unknown));
          if (allowed({ rules }, connection)) {
            // Nothing unknown can be in the way: the rule that let it in holds whatever the coin says.
            assert.ok(
              rules.some((one) => holds(one, connection, () => false)) &&
                rules.some((one) => holds(one, connection, () => true)),
            );
          }
          if (truth) assert.ok(!allowed({ action: 'DENY', rules }, connection));
        },
      ),
      { seed: 5, numRuns: 2000 },
    );
  });
});

const blocks = fc.array(fc.constantFrom('10.0.0.0/8', '192.0.2.0/24', '10.1.0.0/99', 'x'), {
  minLength: 1,
  maxLength: 2,
});
const names = fc.array(fc.constantFrom('a', 'b', '*', 'a*'), { minLength: 1, maxLength: 2 });
const domains = fc.array(fc.constantFrom('td', 'other', 't*', '*', '*d'), { minLength: 1, maxLength: 2 });
const principals = fc.array(fc.constantFrom('td/ns/a/sa/sa', 'other/ns/a/sa/sa', 't*', 'td/ns/*', '*/sa/sa', '*'), {
  minLength: 1,
  maxLength: 2,
});
const ports = fc.array(fc.constantFrom('80', '443', '0', 'http'), { minLength: 1, maxLength: 2 });
const optional = { requiredKeys: [] };
const rule: fc.Arbitrary<AuthorizationRule> = fc.record(
  {
    from: fc.array(
      fc.record({
        source: fc.record(
          {
            namespaces: names,
            notNamespaces: names,
            ipBlocks: blocks,
            notIpBlocks: blocks,
            requestPrincipals: names,
            trustDomains: domains,
            notTrustDomains: domains,
            principals,
          },
          optional,
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    to: fc.array(fc.record({ operation: fc.record({ ports, notPorts: ports, paths: names }, optional) }), {
      minLength: 1,
      maxLength: 2,
    }),
    when: fc.array(fc.record({ key: fc.constantFrom('source.ip', 'request.headers[x]'), values: blocks }), {
      maxLength: 1,
    }),
  },
  optional,
);
const facts: fc.Arbitrary<ConnectionFacts> = fc.record({
  sourceIp: fc.constantFrom('10.1.2.3', '192.0.2.1', '203.0.113.9'),
  destinationIp: fc.constant('10.9.9.9'),
  destinationPort: fc.constantFrom(80, 443, 8080),
  source: fc.option(
    fc
      .tuple(fc.constantFrom('td', 'other'), fc.constantFrom('a', 'b', 'ab'))
      .map(([domain, namespace]) => ({ id: spiffeId(domain, namespace, 'sa'), namespace, serviceAccount: 'sa' })),
    { nil: undefined },
  ),
});

/** Istio's meaning of a rule, where `unknown` decides what L4 cannot see and values that cannot be read. */
function holds(one: AuthorizationRule, connection: ConnectionFacts, unknown: () => boolean): boolean {
  const list = (
    values: readonly string[] | undefined,
    negative: boolean,
    hit: (value: string) => boolean | undefined,
  ): boolean => {
    if (values === undefined) return true;
    const hits = values.map((value) => hit(value) ?? unknown() !== negative);
    return negative ? !hits.includes(true) : hits.includes(true);
  };
  const inBlock = (value: string): boolean | undefined => {
    const cidr = tryParseCidr(value);
    return cidr && cidrContains(cidr, parseIp(connection.sourceIp));
  };
  const isText = (pattern: string, text: string | undefined): boolean => {
    if (text === undefined) return false;
    if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
    return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
  };
  const isNamespace = (value: string): boolean => isText(value, connection.source?.namespace);
  const principal = connection.source?.id.slice('spiffe://'.length);
  const trustDomain = principal?.split('/')[0];
  const isPort = (value: string): boolean | undefined =>
    /^[1-9]\d*$/.test(value) ? connection.destinationPort === Number(value) : undefined;
  const empty = (value: object | undefined): boolean => Object.keys(value ?? {}).length === 0;
  const anyOf = (items: readonly (() => boolean)[] | undefined): boolean =>
    items === undefined || items.some((item) => item());
  return (
    anyOf(
      one.from?.map(
        ({ source = {} }) =>
          () =>
            empty(source)
              ? unknown()
              : list(source.namespaces, false, isNamespace) &&
                list(source.notNamespaces, true, isNamespace) &&
                list(source.ipBlocks, false, inBlock) &&
                list(source.notIpBlocks, true, inBlock) &&
                list(source.principals, false, (value) => isText(value, principal)) &&
                list(source.trustDomains, false, (value) => isText(value, trustDomain)) &&
                list(source.notTrustDomains, true, (value) => isText(value, trustDomain)) &&
                (source.requestPrincipals === undefined || unknown()),
      ),
    ) &&
    anyOf(
      one.to?.map(
        ({ operation = {} }) =>
          () =>
            empty(operation)
              ? unknown()
              : list(operation.ports, false, isPort) &&
                list(operation.notPorts, true, isPort) &&
                (operation.paths === undefined || unknown()),
      ),
    ) &&
    (one.when ?? []).every(({ key, values }) => (key === 'source.ip' ? list(values, false, inBlock) : unknown()))
  );
}
