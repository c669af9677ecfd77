import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseCidr, type Cidr } from '../lib/ip.ts';
import { emptyMatch, type Authorization, type AuthorizationMatch, type StringMatch } from '../policy/model.ts';
import { Action, AuthorizationSchema } from '../gen/security_pb.ts';
import { parseMessage } from './message.ts';
import { authorizationName, decodeAuthorization, denyInsteadOf, encodeAuthorization } from './authorization.ts';

const authorization: Authorization = {
  name: 'p',
  namespace: 'ns',
  scope: 'workload-selector',
  action: 'deny',
  rules: [
    {
      clauses: [
        {
          matches: [
            {
              ...emptyMatch,
              namespaces: [{ kind: 'exact', value: 'a' }],
              notNamespaces: [{ kind: 'prefix', value: 'b' }],
              principals: [{ kind: 'suffix', value: 'c' }],
              notPrincipals: [{ kind: 'presence' }],
              sourceIps: [parseCidr('10.0.0.0/8')],
              destinationPorts: [80, 443],
              serviceAccounts: [{ namespace: 'x', serviceAccount: 'y' }],
            },
          ],
        },
      ],
    },
  ],
  dryRun: true,
};

const golden = Buffer.from(
  [
    '0a0170', // name
    '12026e73', // namespace
    '1802', // scope
    '2001', // action
    '2a2e', // rule
    '0a2c', // clause
    '122a', // match
    '0a030a0161', // namespaces, exact
    '1203120162', // not_namespaces, prefix
    '1a031a0163', // principals, suffix
    '22022200', // not_principals, presence
    '2a080a040a0000001008', // source_ips
    '4a0350bb03', // destination_ports, packed
    '5a060a0178120179', // service_accounts
    '3001', // dry_run
  ].join(''),
  'hex',
);

describe('istio.security.Authorization', () => {
  test('the bytes are those of the protocol', () => {
    assert.equal(Buffer.from(encodeAuthorization(authorization)).toString('hex'), golden.toString('hex'));
    assert.deepEqual(decodeAuthorization(golden), authorization);
    assert.equal(authorizationName(authorization), 'ns/p');
  });

  test('every value comes back', () => {
    fc.assert(
      fc.property(authorizations, (value) => {
        assert.deepEqual(decodeAuthorization(encodeAuthorization(value)), value);
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  test('an audit is a DENY without rules around its own', () => {
    const audit = { ...authorization, action: 'audit' } as const;
    const bytes = encodeAuthorization(audit);
    const asOthersReadIt = parseMessage(AuthorizationSchema, bytes);
    assert.deepEqual([asOthersReadIt.action, asOthersReadIt.rules], [Action.DENY, []]);
    assert.deepEqual(decodeAuthorization(bytes), audit);
    const withRules = Buffer.concat([bytes, field(5, '')]);
    assert.throws(() => decodeAuthorization(withRules), { code: 'wire.unknown-field', message: /an audit is a DENY/ });
  });

  test('host bits of a block are cleared, IPv4-mapped blocks are folded', () => {
    const mapped = Buffer.from('00000000000000000000ffff0a010203', 'hex');
    const match = field(5, Buffer.concat([field(1, mapped), Uint8Array.of(16, 104)]));
    assert.deepEqual(decodeAuthorization(policyWith(match)).rules[0]?.clauses[0]?.matches[0]?.sourceIps, [
      parseCidr('10.0.0.0/8'),
    ]);
  });

  test('what is not understood is refused with the name of the field', () => {
    const at = 'rules\\[0\\]\\.clauses\\[0\\]\\.matches\\[0\\]';
    const refused: [string, Uint8Array, string, RegExp][] = [
      ['scope', Buffer.concat([field(1, 'p'), Uint8Array.of(24, 3)]), 'wire.unknown-enum', /scope: the value 3/],
      ['action', Buffer.concat([field(1, 'p'), Uint8Array.of(32, 2)]), 'wire.unknown-enum', /action: the value 2/],
      ['no name', field(2, 'ns'), 'wire.missing-field', /name/],
      ['new top field', Buffer.concat([field(1, 'p'), field(9, 'x')]), 'wire.unknown-field', /number 9/],
      ['new match field', policyWith(field(14, 'x')), 'wire.unknown-field', new RegExp(`${at}: .*number 14`)],
      [
        'extension',
        policyWith(field(13, field(1, 'jwt'))),
        'wire.unknown-field',
        /extensions\[0\]: the extension "jwt"/,
      ],
      ['string without kind', policyWith(field(1, '')), 'wire.missing-field', new RegExp(`${at}\\.namespaces\\[0\\]`)],
      ['new kind of string match', policyWith(field(3, field(5, '.*'))), 'wire.unknown-field', /principals\[0\]/],
      [
        'prefix 33',
        policyWith(field(6, Buffer.concat([field(1, new Uint8Array(4)), Uint8Array.of(16, 33)]))),
        'wire.invalid-cidr',
        /not_source_ips\[0\]/,
      ],
      ['empty address', policyWith(field(7, '')), 'wire.invalid-address', /destination_ips\[0\]/],
      [
        'port',
        policyWith(field(9, Uint8Array.of(0x80, 0x80, 4))),
        'wire.invalid-port',
        /destination_ports\[0\]: 65536/,
      ],
    ];
    for (const [what, bytes, code, message] of refused) {
      assert.throws(() => decodeAuthorization(bytes), { code, message }, what);
    }
  });

  test('an unreadable policy is replaced by a denial of the same scope', () => {
    const unreadable = Buffer.concat([field(1, 'p'), field(2, 'ns'), Uint8Array.of(24, 2, 32, 9)]);
    const denial = denyInsteadOf('ns/p', unreadable);
    assert.equal(denial.scope, 'workload-selector');
    assert.equal(denial.action, 'deny');
    assert.equal(authorizationName(denial), 'ns/p');
    assert.deepEqual(decodeAuthorization(encodeAuthorization(denial)), denial);
    assert.equal(denyInsteadOf('ns/p', Uint8Array.of(10, 99)).scope, 'namespace');
    assert.equal(denyInsteadOf('/p', Uint8Array.of(10, 99)).scope, 'global');
  });
});

function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

function policyWith(match: Uint8Array): Buffer {
  return Buffer.concat([field(1, 'p'), field(5, field(1, field(2, match)))]);
}

/** Records as the decoder makes them: with a prototype. */
function plainRecord<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const text = fc.stringMatching(/^[a-z0-9./-]{0,12}$/);
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  plainRecord({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: text }),
  fc.constant({ kind: 'presence' as const }),
);
const strings = fc.array(stringMatch, { maxLength: 2 });
const cidr: fc.Arbitrary<Cidr> = fc.oneof(
  fc
    .tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(32))
    .map(([bytes, length]) => parseCidr(`${bytes.join('.')}/${length}`)),
  fc.constantFrom(parseCidr('fd00::/8'), parseCidr('2001:db8::1/128')),
);
const cidrs = fc.array(cidr, { maxLength: 2 });
const ports = fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 3 });
const accounts = fc.array(plainRecord({ namespace: text, serviceAccount: text }), { maxLength: 2 });
const matches: fc.Arbitrary<AuthorizationMatch> = plainRecord({
  namespaces: strings,
  notNamespaces: strings,
  principals: strings,
  notPrincipals: strings,
  sourceIps: cidrs,
  notSourceIps: cidrs,
  destinationIps: cidrs,
  notDestinationIps: cidrs,
  destinationPorts: ports,
  notDestinationPorts: ports,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
});
const authorizations: fc.Arbitrary<Authorization> = plainRecord({
  name: fc.stringMatching(/^[a-z]{1,8}$/),
  namespace: text,
  scope: fc.constantFrom('global', 'namespace', 'workload-selector'),
  action: fc.constantFrom('allow', 'deny', 'audit'),
  rules: fc.array(
    plainRecord({ clauses: fc.array(plainRecord({ matches: fc.array(matches, { maxLength: 2 }) }), { maxLength: 2 }) }),
    { maxLength: 2 },
  ),
  dryRun: fc.boolean(),
});
