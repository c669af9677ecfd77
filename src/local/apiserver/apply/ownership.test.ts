import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonSchema } from '../../../api/index.ts';
import type { JsonObject } from '../merge-patch.ts';
import { compareFields } from './compare.ts';
import {
  decodeFields,
  difference,
  emptySet,
  encodeFields,
  intersection,
  isEmpty,
  pathsOf,
  setsEqual,
  union,
  type FieldSet,
} from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import { capUpdaters, type ManagedFields, type Manager, type ManagerFields } from './managed-fields.ts';
import { applyConfig, ownersAfterUpdate, type Applied } from './ownership.ts';

const text: JsonSchema = { type: 'string' };
const item: JsonSchema = { type: 'object', properties: { name: text, value: text } };
const structure: JsonSchema = {
  type: 'object',
  properties: {
    one: text,
    two: text,
    labels: { type: 'object', additionalProperties: text },
    whole: { type: 'object', properties: { a: text, b: text }, 'x-kubernetes-map-type': 'atomic' },
    set: { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
    atoms: { type: 'array', items: text, 'x-kubernetes-list-type': 'atomic' },
    items: {
      type: 'array',
      items: item,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
  },
};
const now = '2024-01-01T00:00:00Z';
const manager = (name: string, operation: Manager['operation'] = 'Apply'): Manager => ({
  name,
  operation,
  apiVersion: 'v1',
  subresource: '',
});

interface State {
  readonly object: JsonObject;
  readonly managed: ManagedFields;
}

const start: State = {
  object: {},
  managed: [{ ...manager('nobody', 'Update'), time: now, fields: decodeFields({ 'f:x': {} }) }],
};
const apply = (state: State, name: string, config: JsonObject, force = false): Applied =>
  applyConfig({
    live: state.object,
    config,
    structure,
    ignored: emptySet,
    managed: state.managed,
    manager: manager(name),
    force,
    now,
  });
const update = (state: State, name: string, after: JsonObject): State => ({
  object: after,
  managed: ownersAfterUpdate({
    before: state.object,
    after,
    structure,
    ignored: emptySet,
    managed: state.managed,
    manager: manager(name, 'Update'),
    now,
  }),
});
const fieldsOfManager = (state: State, name: string): string[] =>
  state.managed.filter((entry) => entry.name === name).flatMap((entry) => pathsOf(entry.fields));

const config = fc.record(
  {
    one: fc.constantFrom('a', 'b'),
    two: fc.constantFrom('a', 'b'),
    labels: fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2')),
    whole: fc.record({ a: fc.constantFrom('1', '2'), b: fc.constantFrom('1', '2') }, { requiredKeys: [] }),
    set: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
    atoms: fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }),
    items: fc.uniqueArray(fc.record({ name: fc.constantFrom('p', 'q', 'r'), value: fc.constantFrom('1', '2') }), {
      selector: ({ name }) => name,
    }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<JsonObject>;

test('what one applier alone applies is what there is, whatever it applied before', () => {
  fc.assert(
    fc.property(config, config, (first, second) => {
      const state = apply(apply(start, 'me', first), 'me', second);
      // Only maps that are empty may be left of what was there before.
      const { added, modified, removed } = compareFields(state.object, second, structure);
      deepEqual(pathsOf(modified), []);
      deepEqual(
        pathsOf(difference(removed, fieldsOf(second, structure))).filter((path) => /\.\w+[.[]/.test(path)),
        [],
      );
      deepEqual(
        pathsOf(added).filter((path) => /\.\w+[.[]/.test(path)),
        [],
      );
    }),
  );
});

test('applying the same twice changes neither the object nor its owners', () => {
  fc.assert(
    fc.property(config, config, (others, mine) => {
      const once = apply(apply(start, 'other', others), 'me', mine, true);
      const twice = apply(once, 'me', mine);
      deepEqual(twice.object, once.object);
      deepEqual(encodeAll(twice.managed), encodeAll(once.managed));
    }),
  );
});

test('after a forced apply no two managers claim different values, and the applier has all of its fields', () => {
  fc.assert(
    fc.property(config, config, config, (first, edited, mine) => {
      const state = apply(update(apply(start, 'other', first), 'editor', edited), 'me', mine, true);
      const wanted = fieldsOf(mine, structure);
      const own = state.managed.find((entry) => entry.name === 'me')?.fields ?? emptySet;
      equal(setsEqual(own, wanted), true);
      deepEqual(pathsOf(compareFields(mine, state.object, structure).modified), []);
    }),
  );
});

test('an applier never removes what somebody else holds', () => {
  fc.assert(
    fc.property(config, config, (theirs, mine) => {
      const both = apply(apply(start, 'them', theirs), 'me', mine, true);
      const held = both.managed.find((entry) => entry.name === 'them')?.fields ?? emptySet;
      const left = apply(both, 'me', {});
      const lost = difference(held, fieldsOf(left.object, structure));
      // A map or list that lost its last entry is gone, as in Kubernetes.
      const containers = ['.labels', '.set', '.items'];
      deepEqual(
        pathsOf(lost).filter((path) => !containers.includes(path)),
        [],
      );
    }),
  );
});

test('a field set survives its text, and set operations agree', () => {
  fc.assert(
    fc.property(config, config, (a, b) => {
      const [left, right] = [fieldsOf(a, structure), fieldsOf(b, structure)];
      equal(setsEqual(decodeFields(encodeFields(left)), left), true);
      equal(setsEqual(union(difference(left, right), intersection(left, right)), left), true);
      equal(isEmpty(intersection(difference(left, right), right)), true);
      equal(setsEqual(union(left, right), union(right, left)), true);
    }),
  );
});

test('a value that somebody else set conflicts, and the message names it', () => {
  const state = update(apply(start, 'one', { one: 'a', labels: { x: '1' } }), 'editor', {
    one: 'b',
    labels: { x: '1' },
  });
  deepEqual(fieldsOfManager(state, 'editor'), ['.one']);
  deepEqual(fieldsOfManager(state, 'one'), ['.labels.x']);
  throws(() => apply(state, 'one', { one: 'a' }), {
    message: 'Apply failed with 1 conflict: conflict with "editor" using v1: .one',
  });
});

test('only the oldest updaters are united, and no field is lost', () => {
  const managed: ManagedFields = Array.from({ length: 13 }, (_, i): ManagerFields => ({
    ...manager(`m${i}`, 'Update'),
    time: `2024-01-01T00:00:${String(i).padStart(2, '0')}Z`,
    fields: decodeFields({ [`f:field${i}`]: {} }),
  }));
  const capped = capUpdaters(managed);
  equal(capped.length, 10);
  const ancient = capped.find((entry) => entry.name === 'ancient-changes');
  deepEqual(pathsOf(ancient?.fields ?? emptySet), ['.field0', '.field1', '.field2', '.field3']);
  const all = (entries: ManagedFields): FieldSet => entries.reduce((sum, entry) => union(sum, entry.fields), emptySet);
  equal(setsEqual(all(capped), all(managed)), true);
});

function encodeAll(managed: ManagedFields): string[] {
  return managed.map(({ name, fields }) => `${name} ${JSON.stringify(encodeFields(fields))}`).toSorted();
}
