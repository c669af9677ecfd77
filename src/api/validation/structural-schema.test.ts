import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crdOf } from '../custom/crd.ts';
import { customKinds } from '../custom/index.ts';
import { validateStructuralSchema } from './structural-schema.ts';

function problems(properties: unknown, more: object = {}): string[] {
  const schema = { type: 'object', properties, ...more };
  return validateStructuralSchema(schema, 's').map(({ path, message }) => `${path}: ${message}`);
}

describe('a structural schema', () => {
  it('is what each of our own is, with rules that compile', () => {
    for (const kind of customKinds) {
      for (const { schema } of crdOf(kind).spec.versions) {
        assert.deepEqual(validateStructuralSchema(schema?.openAPIV3Schema, kind.ref.kind), []);
      }
    }
  });

  it('gives each field, item and value a type', () => {
    assert.deepEqual(problems({ a: {}, b: { type: 'array', items: {} }, c: { type: 'array' }, d: { type: 'thing' } }), [
      's.properties[a].type: Required value: must not be empty for specified object fields',
      's.properties[b].items.type: Required value: must not be empty for specified array items',
      's.properties[c].items: Required value: must be specified',
      's.properties[d].type: Unsupported value: "thing": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ]);
    assert.deepEqual(
      validateStructuralSchema({ type: 'array', items: { type: 'string' } }, 's')[0]?.message,
      'Invalid value: "array": must be object at the root',
    );
    const open = { 'x-kubernetes-preserve-unknown-fields': true };
    const either = { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] };
    assert.deepEqual(problems({ open, either, map: { type: 'object', additionalProperties: true } }), []);
  });

  it('keeps structure out of alternatives, and describes outside what they restrict', () => {
    assert.deepEqual(
      problems(
        { a: { type: 'string' } },
        {
          oneOf: [{ type: 'object' }, { properties: { b: { minLength: 1 } } }],
          not: { properties: { a: { default: 'x' } } },
        },
      ),
      [
        's.oneOf[0].type: Forbidden: must be empty to be structural',
        's.properties[b]: Required value: because it is defined in s.oneOf[1].properties[b]',
        's.not.properties[a].default: Forbidden: must be undefined to be structural',
      ],
    );
  });

  it('says what a list has by its keys', () => {
    const list = (items: object, keys?: string[], type = 'map'): object => ({
      type: 'array',
      items,
      'x-kubernetes-list-type': type,
      ...(keys && { 'x-kubernetes-list-map-keys': keys }),
    });
    const item = { type: 'object', properties: { name: { type: 'string' } } };
    assert.deepEqual(problems({ a: list(item), b: list(item, ['nam']), c: list(item, ['name']) }), [
      's.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
      's.properties[b].x-kubernetes-list-map-keys: Invalid value: ["nam"]: entries must all be names of item properties',
      's.properties[c].items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    ]);
    assert.deepEqual(problems({ a: list({ ...item, required: ['name'] }, ['name']) }), []);
    assert.match(problems({ a: list(item, undefined, 'set') })[0] ?? '', /must be atomic as item of a list/);
    assert.match(problems({ a: { type: 'string', 'x-kubernetes-list-type': 'set' } })[0] ?? '', /must be array if/);
  });

  it('has patterns, rules and defaults that hold', () => {
    assert.deepEqual(problems({ a: { type: 'string', pattern: '(?=a)' } }), [
      's.properties[a].pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn\'t: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
    ]);
    const ruled = (rule: object): string[] =>
      problems({ a: { type: 'string', 'x-kubernetes-validations': [rule] } }).map((each) => each.split('\n')[0] ?? '');
    assert.deepEqual(ruled({ rule: '' }), [
      's.properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified',
    ]);
    assert.deepEqual(ruled({ rule: 'self.b' }), [
      's.properties[a].x-kubernetes-validations[0].rule: Invalid value: "self.b": compilation failed: ERROR: <input>:1:5: type \'string\' does not support field selection',
    ]);
    assert.match(ruled({ rule: 'true', reason: 'Because' })[0] ?? '', /reason: Unsupported value: "Because"/);
    assert.match(
      ruled({ rule: 'true', fieldPath: 'a' })[0] ?? '',
      /fieldPath: Invalid value: "a": must be a valid path/,
    );
    assert.match(ruled({ rule: 'true ||\nfalse' })[0] ?? '', /message must be specified if rule contains line breaks/);
    assert.deepEqual(problems({ a: { type: 'integer', default: 'x' } }), [
      's.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"',
    ]);
  });

  it('refuses what Kubernetes does not support', () => {
    assert.deepEqual(
      problems({ a: { type: 'object', $ref: '#/x', patternProperties: {} }, b: { type: 'array', items: [{}] } }),
      [
        's.properties[a].patternProperties: Forbidden: patternProperties is not supported',
        's.properties[a].$ref: Forbidden: $ref is not supported',
        's.properties[b].items: Forbidden: items must be a schema object and not an array',
      ],
    );
    assert.deepEqual(problems({ a: { type: 'array', uniqueItems: true, items: { type: 'string' } } }), [
      's.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    ]);
    assert.match(
      problems({
        a: { type: 'object', properties: { b: { type: 'string' } }, additionalProperties: { type: 'string' } },
      })[0] ?? '',
      /mutual exclusive/,
    );
    assert.match(
      problems({ metadata: { type: 'object', properties: { labels: { type: 'object' } } } })[0] ?? '',
      /metadata is implicitly specified/,
    );
    let deep: object = { type: 'string' };
    for (let i = 0; i < 100; i++) deep = { type: 'object', properties: { a: deep } };
    assert.match(problems({ a: deep })[0] ?? '', /must not nest deeper than 64/);
  });
});
