import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compilePattern, findMatches } from './pattern.ts';

describe('patterns', () => {
  it('match as RE2 does', () => {
    const cases: [pattern: string, text: string, matches: boolean][] = [
      ['^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', 'abc-d', true],
      ['^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', 'abc-', false],
      ['b|c', 'xxb', true],
      ['^$', '', true],
      ['x{2,3}y', 'axxy', true],
      ['x{2,3}y', 'axy', false],
      ['x{2,}$', 'xxxx', true],
      ['a{,2}', 'a{,2}', true],
      ['(?i)HeLLo', 'hello', true],
      ['(?i:A)b', 'ab', true],
      ['(?i:A)b', 'aB', false],
      ['^.{1,3}$', '😀😀😀', true],
      ['^.{1,2}$', '😀😀😀', false],
      ['^.$', '\n', false],
      ['(?s)^.$', '\n', true],
      ['(?m)^b$', 'a\nb\nc', true],
      ['^b$', 'a\nb\nc', false],
      [String.raw`\bfoo\b`, 'a foo b', true],
      [String.raw`\bfoo\b`, 'afoo', false],
      ['[[:alpha:]]+$', '12a', true],
      ['^[^[:digit:]]$', '1', false],
      [String.raw`^\pL+$`, 'äb', true],
      [String.raw`^\p{Greek}+$`, 'αβ', true],
      [String.raw`^\PL$`, 'a', false],
      [String.raw`\Qa.b\E$`, 'a.b', true],
      [String.raw`\Qa.b\E$`, 'axb', false],
      [String.raw`^\x41\x{1F600}\z`, 'A😀', true],
      ['^a*?$', 'aaa', true],
      ['a$|^b', 'ba', true],
      ['^[]a]+$', ']a', true],
      ['^[a-]+$', 'a-', true],
    ];
    for (const [pattern, text, matches] of cases) assert.equal(compilePattern(pattern)(text), matches, pattern);
  });

  it('agree with the engine of JavaScript where both mean the same', () => {
    const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', '(?:ab|b)', '(?:a|)', 'c');
    const part = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{1,2}', '*?')).map((both) => both.join(''));
    const pattern = fc
      .tuple(fc.constantFrom('', '^'), fc.array(part, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '$'))
      .map(([begin, parts, end]) => begin + parts.join('') + end);
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 8 }).map((chars) => chars.join(''));
    fc.assert(
      fc.property(pattern, text, (source, given) => {
        assert.equal(compilePattern(source)(given), new RegExp(source, 'u').test(given));
        assert.deepEqual(findMatches(source, given, 1), new RegExp(source, 'u').exec(given)?.slice(0, 1) ?? []);
      }),
      { numRuns: 2_000 },
    );
  });

  it('take time by the length of the text, whatever the pattern', () => {
    assert.equal(compilePattern('^(a+)+$')(`${'a'.repeat(30_000)}b`), false);
    assert.equal(compilePattern('^(a|a|a)*(b|c)*$')(`${'a'.repeat(30_000)}d`), false);
    assert.equal(compilePattern('(a|b)*a(a|b){60}c')('ab'.repeat(2_000)), false);
  });

  it('are refused where RE2 refuses them', () => {
    const refused: [pattern: string, why: RegExp][] = [
      ['(?=a)', /invalid or unsupported Perl syntax: `\(\?=`/],
      ['(?<!x)', /invalid or unsupported Perl syntax/],
      [String.raw`(a)\1`, /invalid escape sequence: `\\1`/],
      ['(', /missing closing \): `\(`/],
      ['a)', /unexpected \)/],
      ['[a', /missing closing \]/],
      ['[b-a]', /invalid character class range: `b-a`/],
      ['a**', /invalid nested repetition operator/],
      ['*a', /missing argument to repetition operator: `\*`/],
      ['a{2000}', /invalid repeat count/],
      ['(a{500}){500}', /too large/],
      ['\\', /trailing backslash/],
      [String.raw`\p{Nothing}`, /invalid character class range/],
    ];
    for (const [pattern, why] of refused) assert.throws(() => compilePattern(pattern), why, pattern);
  });

  it('find what they match, leftmost and as often as asked', () => {
    assert.deepEqual(findMatches('a+?', 'aaa', Infinity), ['a', 'a', 'a']);
    assert.deepEqual(findMatches('a+', 'xaaay a', Infinity), ['aaa', 'a']);
    assert.deepEqual(findMatches('foo|foobar', 'foobar', Infinity), ['foo']);
    assert.deepEqual(findMatches('[0-9]+', '1 22 333', 2), ['1', '22']);
  });
});
