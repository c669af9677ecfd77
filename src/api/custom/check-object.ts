/** An object of a custom kind through its schema, in the order of kube-apiserver: prune, defaults, structure, then rules. */
import { invalid, type FieldError, type FieldErrorReason } from '../field-error.ts';
import type { KubeObject } from '../meta.ts';
import { checkRules, hasRules } from '../schema/cel/rules.ts';
import { checkSchema, noPath } from '../schema/compile.ts';
import { applyDefaults, dropNulls } from '../schema/defaulting.ts';
import { repeatedItems } from '../schema/list-types.ts';
import { pruneUnknown, unknownFields } from '../schema/prune.ts';
import type { JsonSchema } from '../schema/schema.ts';
import type { CustomKind } from './custom-kind.ts';

export interface CheckedObject {
  /** What would be stored: a copy with its defaults, without unknown fields. */
  readonly object: KubeObject;
  /** Paths that kubectl is warned of, or refused for with `--validate=strict`. */
  readonly unknown: readonly string[];
  readonly errors: readonly FieldError[];
}

/** Rules that read a field of the wrong type would only repeat the error, badly. */
const blocking: ReadonlySet<FieldErrorReason> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

/** Everything but metadata, which is checked alike for all kinds. `old` is the stored object, on update. Never throws. */
export function checkCustomObject(kind: CustomKind, object: KubeObject, old?: KubeObject): CheckedObject {
  const wanted = object.apiVersion?.split('/').at(-1);
  const version = kind.versions.find(({ name }) => name === wanted) ?? kind.versions.find(({ storage }) => storage);
  if (!version) throw new Error(`${kind.ref.kind} has no version ${wanted} and none that is stored`);
  const schema = objectSchemaOf(version.schema);
  const unknown = unknownFields(object, schema);
  const copy = structuredClone(object);
  pruneUnknown(copy, schema);
  applyDefaults(copy, schema);
  dropNulls(copy, schema);
  return { object: copy, unknown, errors: schemaErrors(copy, schema, old) };
}

/** Violations of a whole object, which has its defaults. Rules are asked only when what they read is there. */
export function schemaErrors(object: unknown, schema: JsonSchema, old?: unknown): FieldError[] {
  const errors = checkSchema(object, schema, '', old);
  const repeated = repeatedItems(object, schema);
  // A list that was so before may stay so.
  if (repeated.length > 0 && (old === undefined || repeatedItems(old, schema).length === 0)) errors.push(...repeated);
  if (errors.some(({ reason }) => blocking.has(reason))) {
    const why =
      'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
    return hasRules(schema) ? [...errors, invalid(noPath, null, why)] : errors;
  }
  return [...errors, ...checkRules(object, schema, old)];
}

const addressFields: Readonly<Record<string, JsonSchema>> = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  metadata: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
};

const wholes = new WeakMap<JsonSchema, JsonSchema>();

/** A version's schema as that of the whole object: with the fields that every object has. */
export function objectSchemaOf(schema: JsonSchema): JsonSchema {
  let whole = wholes.get(schema);
  if (!whole) {
    whole = { ...schema, type: 'object', properties: { ...schema.properties, ...addressFields } };
    wholes.set(schema, whole);
  }
  return whole;
}
