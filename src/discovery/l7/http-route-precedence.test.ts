import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { HttpMatch, HttpRule, PathMatch } from '../../api/l7/index.ts';
import { compareRules, inOrderOfPrecedence, type PlacedRule } from './http-route-precedence.ts';

const origin = { kind: 'HTTPRoute', namespace: 'ns', name: 'r', generation: 1 };
const rule = (name: string, ...matches: HttpMatch[]): HttpRule => ({
  name,
  origin,
  matches,
  action: { kind: 'respond', status: 200 },
});
const named = (name: string) => ({ name, match: { kind: 'present' as const }, invert: false });
const route = (name: string, createdAt: string, ...http: HttpRule[]) => ({
  http,
  createdAt,
  route: { kind: 'HTTPRoute', namespace: 'ns', name },
});
const names = (
  ...routes: Parameters<typeof inOrderOfPrecedence>[0] extends Iterable<infer R> ? R[] : never
): string[] => inOrderOfPrecedence(routes).map(({ name }) => name);

describe('the precedence of rules', () => {
  it('goes by path, method, headers, query parameters', () => {
    const inOrder: [string, HttpMatch][] = [
      ['exact', { path: { kind: 'exact', value: '/a' } }],
      ['long prefix', { path: { kind: 'path-prefix', value: '/a/bcd' } }],
      ['short prefix, method', { path: { kind: 'path-prefix', value: '/a' }, method: { kind: 'exact', value: 'GET' } }],
      ['short prefix, headers', { path: { kind: 'path-prefix', value: '/a' }, headers: [named('a'), named('b')] }],
      [
        'short prefix, header and parameters',
        { path: { kind: 'path-prefix', value: '/a' }, headers: [named('a')], query: [named('a'), named('b')] },
      ],
      ['short prefix, header', { path: { kind: 'path-prefix', value: '/a' }, headers: [named('a')] }],
      ['short prefix, parameter', { path: { kind: 'path-prefix', value: '/a' }, query: [named('a')] }],
      ['short prefix', { path: { kind: 'path-prefix', value: '/a' } }],
      ['everything with a header', { path: { kind: 'path-prefix', value: '/' }, headers: [named('a')] }],
      ['expression', { path: { kind: 'regex', value: '/a/very/long/expression' } }],
      ['a header alone', { headers: [named('a')] }],
      ['everything', { path: { kind: 'path-prefix', value: '/' } }],
    ];
    const rules = inOrder.map(([name, match]) => rule(name, match));
    assert.deepEqual(
      names(route('r', '', ...rules.toReversed())),
      inOrder.map(([name]) => name),
    );
  });

  it('goes on by the age of the route, its name and the order in it', () => {
    const match: HttpMatch = { path: { kind: 'path-prefix', value: '/a' } };
    assert.deepEqual(
      names(
        route('a', '', rule('not stored yet', match)),
        route('c', '2026-02-01T00:00:00Z', rule('young', match)),
        route('b', '2026-01-01T00:00:00Z', rule('old b, first', match), rule('old b, second', match)),
        route('a', '2026-01-01T00:00:00Z', rule('old a', match)),
      ),
      ['old a', 'old b, first', 'old b, second', 'young', 'not stored yet'],
    );
  });

  it('takes a rule without a match, or without a path, for one that takes everything', () => {
    const root: HttpMatch = { path: { kind: 'path-prefix', value: '/' } };
    assert.deepEqual(
      names(
        route('r', '', rule('none'), rule('root', root), rule('prefix', { path: { kind: 'prefix', value: '/a' } })),
      ),
      ['prefix', 'none', 'root'],
    );
  });

  it('is a total order', () => {
    const path: fc.Arbitrary<PathMatch> = fc.record({
      kind: fc.constantFrom('exact', 'path-prefix', 'regex'),
      value: fc.constantFrom('/', '/a', '/b', '/a/b', '/a/'),
    });
    const match = fc.record(
      {
        path,
        method: fc.constantFrom('GET', 'PUT').map((value) => ({ kind: 'exact' as const, value })),
        headers: fc.array(fc.constantFrom('a', 'b').map(named), { maxLength: 2 }),
        query: fc.array(fc.constantFrom('a', 'b').map(named), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    );
    const placed: fc.Arbitrary<PlacedRule> = fc.record({
      rule: match.map((one) => rule('x', one)),
      route: fc.constantFrom('a', 'b').map((name) => ({ kind: 'HTTPRoute', namespace: 'ns', name })),
      createdAt: fc.constantFrom('', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
      order: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(placed, placed, placed, (a, b, c) => {
        assert.equal(Math.sign(compareRules(a, b)) + Math.sign(compareRules(b, a)), 0);
        if (compareRules(a, b) <= 0 && compareRules(b, c) <= 0) assert.ok(compareRules(a, c) <= 0);
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});
