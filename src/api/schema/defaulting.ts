/** Defaults of a schema, set where a field is absent (`apiextensions-apiserver/pkg/apiserver/schema/defaulting`). */
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

const withDefaults = new WeakMap<JsonSchema, boolean>();

/** Fills absent fields that have a default, and nulls where null is not allowed. Changes `value`. */
export function applyDefaults(value: unknown, schema: JsonSchema): void {
  if (!hasDefaults(schema)) return;
  const { properties, additionalProperties, items } = schema;
  if (Array.isArray(value)) {
    if (items) for (const item of value) applyDefaults(item, items);
    return;
  }
  if (!isRecord(value)) return;
  for (const name in properties) {
    const field = properties[name];
    if (!field || !hasDefaults(field)) continue;
    const isSet = Object.hasOwn(value, name) && value[name] !== undefined;
    if (field.default !== undefined && (!isSet || (value[name] === null && !field.nullable))) {
      value[name] = structuredClone(field.default);
    }
    if (Object.hasOwn(value, name)) applyDefaults(value[name], field);
  }
  if (!additionalProperties) return;
  for (const name of Object.keys(value)) {
    if (properties && Object.hasOwn(properties, name)) continue;
    applyDefaults(value[name], additionalProperties);
  }
}

/** Whether a default is anywhere in it; so that most of an object is never walked. */
function hasDefaults(schema: JsonSchema): boolean {
  let known = withDefaults.get(schema);
  if (known === undefined) {
    known =
      schema.default !== undefined ||
      Object.values(schema.properties ?? {}).some(hasDefaults) ||
      (schema.items !== undefined && hasDefaults(schema.items)) ||
      (schema.additionalProperties !== undefined && hasDefaults(schema.additionalProperties));
    withDefaults.set(schema, known);
  }
  return known;
}
