import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatSelector, matchesLabels, matchesSelector, parseFieldSelector, parseLabelSelector } from './selector.ts';

describe('label selectors', () => {
  it('match when every pair is there', () => {
    assert.equal(matchesLabels({ a: '1', b: '2' }, { a: '1' }), true);
    assert.equal(matchesLabels({ a: '1' }, { a: '1', b: '2' }), false);
    assert.equal(matchesLabels(undefined, {}), true);
  });

  it('know the four operators, and match nothing for another', () => {
    const labels = { env: 'prod' };
    const match = (operator: string, values?: string[]): boolean =>
      matchesSelector(labels, {
        matchExpressions: [{ key: 'env', operator: operator as 'In', ...(values && { values }) }],
      });
    assert.equal(match('In', ['prod', 'test']), true);
    assert.equal(match('NotIn', ['prod']), false);
    assert.equal(match('Exists'), true);
    assert.equal(match('DoesNotExist'), false);
    assert.equal(match('Near', ['prod']), false);
  });

  it('parse the query syntax', () => {
    const selector = parseLabelSelector('a=b, c!=d,e in (x, y),f notin (z),g,!h,i>3');
    assert.equal(selector.requirements.length, 7);
    assert.equal(selector.matches({ a: 'b', e: 'y', g: '', i: '4' }), true);
    assert.equal(selector.matches({ a: 'b', e: 'y', g: '', i: '3' }), false);
    assert.equal(selector.matches({ a: 'b', e: 'y', g: '', i: '4', h: '' }), false);
    assert.equal(selector.matches({ a: 'b', c: 'd', e: 'y', g: '', i: '4' }), false);
    assert.equal(parseLabelSelector('').matches({ any: 'thing' }), true);
  });

  it('refuse what they cannot read', () => {
    for (const text of ['a b', '=x', 'a in x', 'a in (b', 'a=b,,c', 'a=-x', 'a in (b c)']) {
      assert.throws(() => parseLabelSelector(text), { code: 'selector.invalid-label' }, text);
    }
  });

  it('mean the same as text and as object', () => {
    const key = fc.constantFrom('a', 'b', 'example.com/c');
    const value = fc.constantFrom('', 'x', 'y-1');
    const labels = fc.dictionary(key, value);
    const expression = fc.record({
      key,
      operator: fc.constantFrom('In' as const, 'NotIn' as const, 'Exists' as const, 'DoesNotExist' as const),
      values: fc.array(value, { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(labels, fc.array(expression, { maxLength: 4 }), labels, (matchLabels, matchExpressions, subject) => {
        const selector = { matchLabels, matchExpressions };
        assert.equal(parseLabelSelector(formatSelector(selector)).matches(subject), matchesSelector(subject, selector));
      }),
    );
  });
});

describe('field selectors', () => {
  it('compare fields by path, absent ones as empty', () => {
    const pod = { metadata: { name: 'x' }, spec: { nodeName: 'node-1' } };
    assert.equal(parseFieldSelector('metadata.name=x,spec.nodeName==node-1').matches(pod), true);
    assert.equal(parseFieldSelector('spec.nodeName!=node-1').matches(pod), false);
    assert.equal(parseFieldSelector('status.phase=').matches(pod), true);
  });

  it('refuse what they cannot read', () => {
    assert.throws(() => parseFieldSelector('metadata.name'), { code: 'selector.invalid-field' });
  });
});
