import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { applyMergePatch, type Json } from './merge-patch.ts';

test('every example of RFC 7386, appendix A', () => {
  const examples: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of examples) deepEqual(applyMergePatch(target, patch), result);
});

test('the target stays as it was', () => {
  const target = { a: { b: 1 } };
  applyMergePatch(target, { a: { b: 2, c: 3 } });
  deepEqual(target, { a: { b: 1 } });
});

test('a key named __proto__ is data', () => {
  const result = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}') as Json) as Record<string, unknown>;
  equal(Object.getPrototypeOf(result), Object.prototype);
  equal(result['polluted'], undefined);
  equal(JSON.stringify(result), '{"__proto__":{"polluted":true}}');
});
