import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideAuthorization, type ConnectionFacts } from '../policy/index.ts';
import { spiffeId } from '../api/names.ts';
import { convertAuthorizationPolicy } from './authorization-policy.ts';
import { withTrustDomains } from './trust-domain-aliases.ts';

const domains = ['cluster.local', 'old.example'];

function decide(action: 'ALLOW' | 'DENY', source: object, trustDomain: string, of = domains): string {
  const policy = { metadata: { name: 'p', namespace: 'shop' }, spec: { action, rules: [{ from: [{ source }] }] } };
  const { authorization } = convertAuthorizationPolicy(policy, 'istio-system');
  assert.ok(authorization);
  const facts: ConnectionFacts = {
    sourceIp: '10.0.0.1',
    source: { id: spiffeId(trustDomain, 'web', 'front'), namespace: 'web', serviceAccount: 'front' },
    destinationIp: '10.0.0.2',
    destinationPort: 80,
  };
  return decideAuthorization({ policies: [withTrustDomains(authorization, of)], missing: [] }, facts).kind;
}

test('a principal of one trust domain of the mesh is meant in all of them', () => {
  for (const principal of ['cluster.local/ns/web/sa/front', 'old.example/ns/web/*']) {
    for (const domain of domains) {
      assert.equal(decide('ALLOW', { principals: [principal] }, domain), 'allow', `${principal} from ${domain}`);
      assert.equal(decide('DENY', { notPrincipals: [principal] }, domain), 'allow', `not ${principal} from ${domain}`);
    }
    assert.equal(decide('ALLOW', { principals: [principal] }, 'other.example'), 'deny');
  }
});

test('a principal of another trust domain, or of a part of its name, is meant as it is written', () => {
  assert.equal(decide('ALLOW', { principals: ['other.example/ns/web/sa/front'] }, 'cluster.local'), 'deny');
  assert.equal(decide('ALLOW', { principals: ['cluster.lo*'] }, 'old.example'), 'deny');
  assert.equal(decide('ALLOW', { principals: ['*/sa/front'] }, 'old.example'), 'allow');
});

test('cluster.local is the own trust domain of a mesh that has another name', () => {
  const source = { principals: ['cluster.local/ns/web/sa/front'] };
  assert.equal(decide('ALLOW', source, 'prod.example', ['prod.example']), 'allow');
  assert.equal(decide('ALLOW', source, 'other.example', ['prod.example']), 'deny');
});
