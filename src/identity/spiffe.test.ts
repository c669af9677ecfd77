import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId, spiffeParts, tryParseSpiffeId } from './spiffe.ts';

describe('SPIFFE ids', () => {
  test('an id of a service account has three parts', () => {
    const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web-1.v2_x');
    assert.deepEqual(spiffeParts(id), {
      trustDomain: 'cluster.local',
      namespace: 'shop',
      serviceAccount: 'web-1.v2_x',
    });
  });

  test('anything else is not an id', () => {
    const wrong = [
      '',
      'spiffe://',
      'spiffe://cluster.local',
      'spiffe://cluster.local/',
      'SPIFFE://cluster.local/ns/a/sa/b',
      'https://cluster.local/ns/a/sa/b',
      'spiffe://Cluster.local/ns/a/sa/b',
      'spiffe://user@cluster.local/ns/a/sa/b',
      'spiffe://cluster.local:80/ns/a/sa/b',
      'spiffe://cluster.local/ns/a/sa/b?x=y',
      'spiffe://cluster.local/ns/a/sa/b#x',
      'spiffe://cluster.local/ns/a/sa/b/',
      'spiffe://cluster.local/ns//sa/b',
      'spiffe://cluster.local/ns/a/sa/',
      'spiffe://cluster.local/ns/a%2f/sa/b',
      'spiffe://cluster.local/ns/../sa/b',
      'spiffe://cluster.local/ns/./sa/b',
      'spiffe://../ns/a/sa/b',
      'spiffe://cluster.local/ns/a/sa/b/extra',
      'spiffe://cluster.local/NS/a/sa/b',
      'spiffe://cluster.local/ns/a/sa/b\n',
      'spiffe://cluster.local/ns/a/sa/b, URI:spiffe://cluster.local/ns/x/sa/y',
      `spiffe://cluster.local/ns/a/sa/${'b'.repeat(2048)}`,
    ];
    for (const text of wrong) {
      assert.equal(tryParseSpiffeId(text), undefined, JSON.stringify(text));
      assert.throws(() => parseSpiffeId(text), { code: 'identity.invalid-spiffe-id' });
    }
  });
});
