import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { checkRules, rulesOf } from './rules.ts';

const text: JsonSchema = { type: 'string' };
const integer: JsonSchema = { type: 'integer' };

/** An object whose `spec` has these fields and rules. */
function specOf(properties: Record<string, JsonSchema>, ...rules: ValidationRule[]): JsonSchema {
  return {
    type: 'object',
    properties: { spec: { type: 'object', properties, 'x-kubernetes-validations': rules } },
  };
}

function problems(spec: unknown, schema: JsonSchema, old?: unknown): string[] {
  const errors = checkRules({ spec }, schema, old === undefined ? undefined : { spec: old });
  return errors.map(({ path, message }) => `${path}: ${message}`);
}

/** Whether a rule over `self` holds. */
function holds(rule: string, spec: unknown, properties: Record<string, JsonSchema> = {}): boolean {
  const found = problems(spec, specOf(properties, { rule }));
  if (found.length > 0 && !found[0]?.includes('failed rule')) assert.fail(`${rule}: ${found.join()}`);
  return found.length === 0;
}

describe('rules', () => {
  it('are asked at every level, with messages, reasons and field paths', () => {
    const port: JsonSchema = { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self > 0' }] };
    const schema = specOf(
      {
        min: integer,
        max: integer,
        ports: { type: 'array', items: port },
        named: { type: 'object', additionalProperties: port },
      },
      {
        rule: 'self.min <= self.max',
        messageExpression: '"min must be at most " + string(self.max)',
        message: 'unused',
        fieldPath: '.min',
        reason: 'FieldValueForbidden',
      },
      { rule: 'self.max < 100', message: 'too many', reason: 'FieldValueRequired' },
    );
    assert.deepEqual(problems({ min: 1, max: 2, ports: [1], named: { a: 1 } }, schema), []);
    assert.deepEqual(problems({ min: 200, max: 100, ports: [1, 0], named: { 'a.b': -1 } }, schema), [
      'spec.min: Forbidden: min must be at most 100',
      'spec: Required value: too many',
      'spec.ports[1]: Invalid value: 0: failed rule: self > 0',
      'spec.named[a.b]: Invalid value: -1: failed rule: self > 0',
    ]);
  });

  it('see values by their types', () => {
    assert.ok(holds('self.i / 2 == 2 && self.d / 2.0 == 2.5', { i: 5, d: 5 }, { i: integer, d: { type: 'number' } }));
    const either: JsonSchema = { 'x-kubernetes-int-or-string': true };
    for (const value of [5, '5%']) {
      assert.ok(holds('type(self.x) == int ? self.x == 5 : self.x == "5%"', { x: value }, { x: either }));
    }
    const time: JsonSchema = { type: 'string', format: 'date-time' };
    assert.ok(holds('self.t > timestamp("2020-01-01T00:00:00Z")', { t: '2024-01-01T00:00:00Z' }, { t: time }));
    assert.ok(holds('self.d < duration("2h")', { d: '90m' }, { d: { type: 'string', format: 'duration' } }));
    assert.ok(holds('size(self.b) == 2', { b: 'YWI=' }, { b: { type: 'string', format: 'byte' } }));
    const set: JsonSchema = { type: 'array', items: text, 'x-kubernetes-list-type': 'set' };
    assert.ok(holds('self.s == ["b", "a"] && "a" in self.s && self.s.join("") != ""', { s: ['a', 'b'] }, { s: set }));
    assert.ok(!holds('self.s == ["b", "a"]', { s: ['a', 'b'] }, { s: { type: 'array', items: text } }));
    assert.ok(holds('has(self.n) && self.n == null', { n: null }, { n: { type: 'string', nullable: true } }));
  });

  it('reach fields whose names are words of the language or no identifiers', () => {
    const properties = { namespace: text, 'a-b': text, 'x.y/z': text, __w: text };
    const rule = 'self.__namespace__ + self.a__dash__b + self.x__dot__y__slash__z + self.__underscores__w == "1234"';
    assert.ok(holds(rule, { namespace: '1', 'a-b': '2', 'x.y/z': '3', __w: '4' }, properties));
  });

  it('know which fields are there', () => {
    const properties = { a: { type: 'array', items: { type: 'object', properties: { b: text } } } } as const;
    assert.ok(holds('!has(self.a)', {}, properties));
    assert.ok(holds('has(self.a[0].b) && !has(self.a[1].b)', { a: [{ b: '' }, {}] }, properties));
    assert.ok(holds('self.?a[?0].?b.orValue("none") == "none"', {}, properties));
    assert.ok(holds('self.?a[?0].optMap(x, x.b == "z").orValue(false)', { a: [{ b: 'z' }] }, properties));
    assert.deepEqual(problems({}, specOf(properties, { rule: 'self.a.size() > 0' })), [
      'spec: Invalid value: "object": no such key: a evaluating rule: self.a.size() > 0',
    ]);
    assert.deepEqual(problems({ a: [] }, specOf(properties, { rule: 'self.a[3].b == ""', message: 'say b' })), [
      'spec: Invalid value: "object": index out of bounds: 3 evaluating rule: say b',
    ]);
  });

  it('of transitions are asked where there is an old value to compare with', () => {
    const item: JsonSchema = {
      type: 'object',
      properties: {
        name: text,
        v: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'is immutable' }] },
      },
    };
    const schema = specOf({
      map: { type: 'array', items: item, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
      atomic: { type: 'array', items: item, 'x-kubernetes-list-type': 'atomic' },
      once: {
        type: 'string',
        'x-kubernetes-validations': [
          {
            rule: 'oldSelf.hasValue() ? self == oldSelf.value() : self != "first"',
            optionalOldSelf: true,
            message: 'no',
          },
        ],
      },
    });
    const old = { map: [{ name: 'a', v: '1' }], atomic: [{ name: 'a', v: '1' }], once: 'x' };
    assert.deepEqual(problems(old, schema), []);
    assert.deepEqual(problems({ once: 'first' }, schema), ['spec.once: Invalid value: "first": no']);
    const next = {
      map: [
        { name: 'b', v: '9' },
        { name: 'a', v: '2' },
      ],
      atomic: [{ name: 'a', v: '2' }],
      once: 'y',
    };
    assert.deepEqual(problems(next, schema, old), [
      'spec.map[1].v: Invalid value: "2": is immutable',
      'spec.once: Invalid value: "y": no',
    ]);
  });

  it('are not asked again of what stayed as it was', () => {
    const schema = specOf({ a: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self != "bad"' }] }, b: text });
    assert.equal(problems({ a: 'bad' }, schema).length, 1);
    assert.deepEqual(problems({ a: 'bad', b: 'new' }, schema, { a: 'bad', b: 'old' }), []);
  });

  it('see apiVersion, kind and names at the root', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {},
      'x-kubernetes-validations': [{ rule: 'self.metadata.name.startsWith("a") && self.kind == "X"', message: 'name' }],
    };
    assert.deepEqual(checkRules({ kind: 'X', metadata: { name: 'abc' } }, schema), []);
    assert.deepEqual(
      checkRules({ kind: 'X', metadata: { name: 'b' } }, schema).map(({ path, message }) => `${path}: ${message}`),
      ['<nil>: Invalid value: name'],
    );
  });

  it('have the functions that Kubernetes adds', () => {
    const strings: Record<string, JsonSchema> = { s: text, l: { type: 'array', items: text } };
    for (const rule of [
      'isURL("https://a.b:80/p?q=1") && !isURL("a b") && !isURL("../x")',
      'url("https://User@a.b:80/p%20q?q=1").getHost() == "a.b:80"',
      'url("https://[::1]:80/").getHostname() == "::1" && url("https://a/").getPort() == ""',
      'url("https://a/p?q=1&q=2").getQuery() == {"q": ["1", "2"]} && url("/x").getScheme() == ""',
      'isIP("10.0.0.1") && !isIP("10.0.0.256") && ip("::1").family() == 6 && ip("127.0.0.1").isLoopback()',
      'ip.isCanonical("::1") && !ip.isCanonical("0:0::1")',
      'isCIDR("10.0.0.0/8") && !isCIDR("10.0.0.0/33") && cidr("10.0.0.0/8").containsIP("10.1.2.3")',
      'cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8")',
      'cidr("10.0.0.0/8").prefixLength() == 8 && cidr("192.168.0.1/24").ip() == ip("192.168.0.1")',
      '"a,b".split(",") == ["a", "b"] && ["a", "b"].join("-") == "a-b" && "abc".substring(1, 2) == "b"',
      '"abc".replace("b", "x") == "axc" && "aaa".replace("a", "b", 2) == "bba" && "abc".charAt(1) == "b"',
      '"AbC".lowerAscii() == "abc" && " a ".trim() == "a" && "abc".indexOf("c") == 2',
      '"v1.2".matches("^v[0-9]+") && "abc 123".find("[0-9]+") == "123" && "1 2".findAll("[0-9]") == ["1", "2"]',
      '[1, 2, 3].isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1 && [3, 1].max() == 3',
      '["a", "b", "a"].indexOf("a") == 0 && ["a", "b", "a"].lastIndexOf("a") == 2',
      'quantity("1Gi").isGreaterThan(quantity("1G")) && quantity("500m").add(quantity("1")).compareTo(quantity("1.5")) == 0',
      'isQuantity("5Ki") && !isQuantity("5 Ki") && quantity("5k").asInteger() == 5000',
      'sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 2], [2, 1])',
      '!format.dns1123Label().validate("a-b").hasValue() && format.dns1123Label().validate("A").hasValue()',
      'cel.bind(x, size(self.s), x + x) == 0',
    ]) {
      assert.ok(holds(rule, { s: '', l: [] }, strings), rule);
    }
  });

  it('end when they cost too much, and say so', () => {
    const list: JsonSchema = { type: 'array', items: integer };
    const rule = 'self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))';
    // Eight billion turns, if nobody counted them.
    const spec = { l: Array.from({ length: 2_000 }, (_, i) => i) };
    const found = problems(spec, specOf({ l: list }, { rule }, { rule: 'self.l.size() < 0' }));
    assert.equal(found.length, 1);
    assert.match(
      found[0] ?? '',
      /no further validation rules will be run due to call cost exceeds limit for rule: self\.l\.all/,
    );
    const growing = 'self.l.map(a, self.l.map(b, "xxxxxxxxxxxxxxxxxxxx").join("")).join("").size() < 0';
    assert.match(
      problems({ l: Array.from({ length: 3_000 }, () => 1) }, specOf({ l: list }, { rule: growing }))[0] ?? '',
      /cost/,
    );
    const hostile = specOf({ s: text }, { rule: 'self.s.matches("^(a+)+$")' });
    assert.match(problems({ s: `${'a'.repeat(50_000)}b` }, hostile)[0] ?? '', /failed rule/);
  });

  it('that cannot run are told with their place', () => {
    const errorsOf = (rule: ValidationRule, properties: Record<string, JsonSchema>): string[] => {
      const schema: JsonSchema = { type: 'object', properties, 'x-kubernetes-validations': [rule] };
      return rulesOf(schema).flatMap(({ errors }) => errors.map(({ field, detail }) => `${field}: ${detail}`));
    };
    assert.deepEqual(errorsOf({ rule: 'self.a ==\n self.b' }, { a: text }), [
      "rule: compilation failed: ERROR: <input>:2:6: undefined field 'b'\n |  self.b\n | .....^",
    ]);
    const first = (rule: string, properties: Record<string, JsonSchema> = { a: text, i: integer }): string =>
      errorsOf({ rule }, properties)[0] ?? '';
    assert.match(first('self.a == 1'), /found no matching overload for '_==_' applied to '\(string, int\)'/);
    assert.match(first('other == 1'), /undeclared reference to 'other'/);
    assert.match(first('self.a =='), /Syntax error/);
    assert.match(first('self.a.size()'), /cel expression must evaluate to a bool/);
    assert.match(first('self.a.b == ""'), /does not support field selection/);
    assert.match(first('self.nosuch()'), /no matching overload/);
    assert.match(
      first('self.l.all(x, x.nam == "")', {
        l: { type: 'array', items: { type: 'object', properties: { name: text } } },
      }),
      /undefined field 'nam'/,
    );
    assert.equal(
      first('self.m.all(k, k == "a" && self.m[k] == 1)', { m: { type: 'object', additionalProperties: integer } }),
      '',
    );
    assert.match(
      errorsOf({ rule: 'true', messageExpression: '1 + 1' }, {})[0] ?? '',
      /messageExpression must evaluate to a string/,
    );
  });
});
