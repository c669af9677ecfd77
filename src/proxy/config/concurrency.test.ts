import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConcurrency } from './concurrency.ts';

function threads(env: Record<string, string>, concurrency?: string): number | string[] {
  const problems: string[] = [];
  const count = parseConcurrency(env, { concurrency, cores: 8 }, problems);
  return problems.length > 0 ? problems : count;
}

test('a proxy has one thread unless somebody says how many; 0 is one a core', () => {
  assert.equal(threads({}), 1);
  assert.equal(threads({ PROXY_CONFIG: '{"discoveryAddress":"istiod:15012"}' }), 1);
  assert.equal(threads({ PROXY_CONFIG: '{"concurrency":3}' }), 3);
  assert.equal(threads({ PROXY_CONFIG: '{"concurrency":0}' }), 8);
  assert.equal(threads({ PROXY_CONFIG: '{"concurrency":null}' }), 1);
  assert.equal(threads({ ISTIO_CPU_LIMIT: '4' }), 1);
});

test('the flag goes before what the pod says', () => {
  assert.equal(threads({ PROXY_CONFIG: '{"concurrency":3}' }, '2'), 2);
  assert.equal(threads({}, '0'), 8);
});

test('what cannot be read is said by its name', () => {
  for (const text of ['-1', 'all', '1.5', '2000', '']) {
    assert.match(String(threads({}, text)), /^--concurrency is "/);
  }
  for (const value of ['-1', '"many"', '1.5', '[]']) {
    assert.match(String(threads({ PROXY_CONFIG: `{"concurrency":${value}}` })), /^PROXY_CONFIG.concurrency is /);
  }
  assert.match(String(threads({ PROXY_CONFIG: 'concurrency: 2' })), /^PROXY_CONFIG is no JSON: /);
  assert.equal(String(threads({ PROXY_CONFIG: '[2]' })), 'PROXY_CONFIG is no JSON object');
});
