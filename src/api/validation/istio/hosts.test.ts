import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { hostCovers, hostProblems, hostsOverlap, wildcardHostProblems } from './hosts.ts';

const label = fc.stringMatching(/^[a-c]{1,2}$/);
const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const pattern = fc.oneof(
  host,
  host.map((text) => `*.${text}`),
  fc.constant('*'),
);

it('tells names from what is none', () => {
  for (const text of ['a', 'reviews.default.svc.cluster.local', 'example.com.', 'A-1.b'])
    assert.deepEqual(hostProblems(text), [], text);
  for (const text of [
    '',
    '.',
    'a..b',
    '-a',
    'a-',
    'a_b',
    '*.a',
    '10.1.2.3',
    'a b',
    `${'a'.repeat(64)}.b`,
    'a.'.repeat(128),
  ]) {
    assert.equal(hostProblems(text).length, 1, text);
  }
  for (const text of ['*', '*.a', '*-a.b', '*a.b', 'a.b']) assert.deepEqual(wildcardHostProblems(text), [], text);
  for (const text of ['', 'a.*', '**', '*.*', 'a*.b', '*..a', '7'])
    assert.equal(wildcardHostProblems(text).length, 1, text);
});

it('knows which names a wildcard means', () => {
  assert.ok(hostCovers('*.example.com', 'a.b.example.com'));
  assert.ok(!hostCovers('*.example.com', 'example.com'));
  assert.ok(!hostCovers('*.example.com', '*.com'));
  assert.ok(hostsOverlap('*.com', '*.example.com'));
  assert.ok(!hostsOverlap('*.a.com', '*.b.com'));
  fc.assert(
    fc.property(pattern, pattern, host, (one, other, name) => {
      assert.equal(hostsOverlap(one, other), hostsOverlap(other, one));
      if (hostCovers(one, name) && hostCovers(other, name)) assert.ok(hostsOverlap(one, other));
      if (hostCovers(one, other)) assert.ok(hostsOverlap(one, other));
      if (hostCovers(one, other) && hostCovers(other, name)) assert.ok(hostCovers(one, name));
    }),
  );
});
