import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkSchema } from './compile.ts';
import { applyDefaults } from './defaulting.ts';
import { repeatedItems } from './list-types.ts';
import { pruneUnknown, unknownFields } from './prune.ts';
import type { JsonSchema } from './schema.ts';

/** `path: message`, as kubectl prints them. */
function problems(value: unknown, schema: JsonSchema, old?: unknown): string[] {
  return checkSchema(value, schema, 'spec', old).map(({ path, message }) => `${path}: ${message}`);
}

const text: JsonSchema = { type: 'string' };
const integer: JsonSchema = { type: 'integer' };

describe('a compiled schema', () => {
  it('names types as kube-apiserver does', () => {
    const of = (value: unknown, schema: JsonSchema): string | undefined => problems(value, schema)[0];
    assert.equal(of(5, text), 'spec: Invalid value: "integer": spec in body must be of type string: "integer"');
    assert.equal(of(1.5, integer), 'spec: Invalid value: "number": spec in body must be of type integer: "number"');
    assert.equal(of(null, text), 'spec: Invalid value: "null": spec in body must be of type string: "null"');
    assert.equal(
      of(true, { 'x-kubernetes-int-or-string': true }),
      'spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean"',
    );
    for (const [value, schema] of [
      [5, { type: 'number' }],
      [null, { type: 'string', nullable: true }],
      ['5%', { 'x-kubernetes-int-or-string': true }],
      [[{ any: 1 }], {}],
    ] as [unknown, JsonSchema][]) {
      assert.deepEqual(problems(value, schema), []);
    }
  });

  it('checks bounds of texts, numbers, lists and objects', () => {
    const schema: JsonSchema = {
      type: 'object',
      required: ['need'],
      maxProperties: 6,
      properties: {
        short: { type: 'string', maxLength: 2 },
        long: { type: 'string', minLength: 2 },
        low: { type: 'integer', minimum: 1, exclusiveMinimum: true },
        high: { type: 'number', maximum: 2 },
        step: { type: 'integer', multipleOf: 5 },
        list: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string', enum: ['a', 'b'] } },
        need: text,
      },
    };
    assert.deepEqual(problems({ short: '😀😀', long: 'ab', low: 2, high: 2, need: '' }, schema), []);
    const bad = { short: 'abc', long: '😀', low: 1, high: 2.5, step: 7, list: ['a', 'c', 'b'], x: 1 };
    assert.deepEqual(problems(bad, schema), [
      'spec: Too many: 7: must have at most 6 items',
      'spec.need: Required value',
      'spec.short: Too long: may not be more than 2 bytes',
      'spec.long: Invalid value: "😀": spec.long in body should be at least 2 chars long',
      'spec.low: Invalid value: 1: spec.low in body should be greater than 1',
      'spec.high: Invalid value: 2.5: spec.high in body should be less than or equal to 2',
      'spec.step: Invalid value: 7: spec.step in body should be a multiple of 5',
      'spec.list: Too many: 3: must have at most 2 items',
      'spec.list[1]: Unsupported value: "c": supported values: "a", "b"',
    ]);
  });

  it('checks the formats that kube-apiserver knows, and no others', () => {
    const good: [format: string, values: string[]][] = [
      ['date-time', ['2024-02-29T00:00:00Z', '2024-01-01T10:00:00.123+02:00']],
      ['date', ['2024-02-29']],
      ['duration', ['1h30m', '-1.5s', '22 ns', '3 days']],
      ['ipv4', ['10.0.0.1']],
      ['ipv6', ['fe80::1']],
      ['cidr', ['10.0.0.0/8', 'fd00::/128']],
      ['uri', ['https://x/y', '/rooted']],
      ['byte', ['YWI=']],
      ['uuid', ['6F9619FF-8B86-D011-B42D-00C04FC964FF']],
      ['email', ['a@b.c']],
      ['hostname', ['a.b-c']],
      ['int32', ['anything']],
    ];
    for (const [format, values] of good) {
      for (const value of values) assert.deepEqual(problems(value, { type: 'string', format }), [], value);
    }
    const bad = {
      'date-time': '2024-02-30T00:00:00Z',
      date: '2024-13-01',
      duration: '5',
      ipv4: '::1',
      ipv6: '1.1.1.1',
    };
    for (const [format, value] of Object.entries({ ...bad, cidr: '10.0.0.0', uri: 'x y', byte: 'a', uuid: 'x' })) {
      const [problem] = problems(value, { type: 'string', format });
      assert.equal(problem, `spec: Invalid value: "${value}": spec in body must be of type ${format}: "${value}"`);
    }
  });

  it('says of alternatives which were tried, and why the closest failed', () => {
    const either: JsonSchema = { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] };
    assert.deepEqual(problems({ a: 1 }, either), []);
    assert.deepEqual(problems({ a: 1, b: 1 }, either), [
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]);
    assert.deepEqual(problems({}, either), [
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid',
      'spec.a: Required value',
    ]);
    assert.deepEqual(problems('c', { type: 'string', anyOf: [{ enum: ['a'] }, { enum: ['b'] }] }), [
      '<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)',
      'spec: Unsupported value: "c": supported values: "a"',
    ]);
    assert.deepEqual(problems('a', { type: 'string', not: { enum: ['a'] } }), [
      '<nil>: Invalid value: "": "spec" must not validate the schema (not)',
    ]);
    assert.deepEqual(problems('', { type: 'string', allOf: [{ minLength: 1 }, { pattern: 'x' }] }), [
      'spec: Invalid value: "": spec in body should be at least 1 chars long',
      `spec: Invalid value: "": spec in body should match 'x'`,
      '<nil>: Invalid value: "": "spec" must validate all the schemas (allOf). None validated',
    ]);
  });

  it('lets stay what was there before the schema became stricter', () => {
    const items: JsonSchema = { type: 'object', properties: { name: text, port: { type: 'integer', maximum: 10 } } };
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        a: { type: 'string', maxLength: 1 },
        b: { type: 'string', maxLength: 1 },
        ports: { type: 'array', items, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
      },
    };
    const old = { a: 'xx', b: 'y', ports: [{ name: 'p', port: 99 }] };
    const moved = {
      a: 'xx',
      b: 'yy',
      ports: [
        { name: 'q', port: 98 },
        { name: 'p', port: 99 },
      ],
    };
    assert.deepEqual(problems(moved, schema, old), [
      'spec.b: Too long: may not be more than 1 bytes',
      'spec.ports[0].port: Invalid value: 98: spec.ports[0].port in body should be less than or equal to 10',
    ]);
  });

  it('finds what a set or a map has twice, each once', () => {
    const set: JsonSchema = { type: 'array', items: text, 'x-kubernetes-list-type': 'set' };
    const say = (value: unknown, schema: JsonSchema): string[] =>
      repeatedItems(value, schema, 'spec').map(({ path, message }) => `${path}: ${message}`);
    assert.deepEqual(say(['a', 'b', 'a', 'a'], set), ['spec[2]: Duplicate value: "a"']);
    const map: JsonSchema = {
      type: 'array',
      items: { type: 'object', properties: { port: integer, protocol: text } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['port', 'protocol'],
    };
    assert.deepEqual(say([{ port: 1 }, { port: 1, protocol: 'TCP' }, { port: 1 }], map), [
      'spec[2]: Duplicate value: {"port":1}',
    ]);
    assert.deepEqual(say([{ port: 1 }, 5, 6], map), [
      'spec[1]: Invalid value: 5: must be an object for an array of list-type map',
    ]);
  });
});

describe('unknown fields and defaults', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      mode: { type: 'string', default: 'auto' },
      nested: { type: 'object', properties: { size: { type: 'integer', default: 1 } } },
      made: { type: 'object', default: {}, properties: { size: { type: 'integer', default: 2 } } },
      open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: { type: 'object' } } },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { a: text } } },
      list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string', default: 'x' } } } },
      embedded: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: text } },
    },
  };

  it('are named by their paths and dropped, but not below what is open', () => {
    const value = {
      mode: 'a',
      typo: 1,
      nested: { siez: 1 },
      open: { anything: { goes: 1 }, known: { here: 'not' } },
      map: { k: { a: '1', b: 2 } },
      list: [{ a: '1' }, { z: 1 }],
      embedded: { apiVersion: 'v1', kind: 'X', metadata: { name: 'a', foo: 1 }, spec: '', other: 1 },
      ['__proto__']: 1,
    };
    assert.deepEqual(unknownFields(value, schema, 'spec'), [
      'spec.typo',
      'spec.nested.siez',
      'spec.open.known.here',
      'spec.map[k].b',
      'spec.list[1].z',
      'spec.embedded.metadata.foo',
      'spec.embedded.other',
      'spec.__proto__',
    ]);
    pruneUnknown(value, schema);
    assert.deepEqual(unknownFields(value, schema), []);
    assert.deepEqual(value.open, { anything: { goes: 1 }, known: {} });
  });

  it('fill what is absent, and null where null is not allowed, at every depth', () => {
    const value = { mode: null, nested: {}, list: [{}, { a: 'y' }] };
    assert.equal(applyDefaults(value, schema), true);
    assert.deepEqual(value, { mode: 'auto', nested: { size: 1 }, made: { size: 2 }, list: [{ a: 'x' }, { a: 'y' }] });
    assert.equal(applyDefaults(value, schema), false);
  });
});
