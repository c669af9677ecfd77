/** Defaults of a schema, set where a field is absent (`apiextensions-apiserver/pkg/apiserver/schema/defaulting`). */
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

const withDefaults = new WeakMap<JsonSchema, boolean>();

/** Fills absent fields that have a default, and nulls where null is not allowed. Changes `value`; returns whether it did. */
export function applyDefaults(value: unknown, schema: JsonSchema): boolean {
  if (!hasDefaults(schema)) return false;
  const { properties = {}, additionalProperties, items } = schema;
  let changed = false;
  if (Array.isArray(value)) {
    if (items) for (const item of value) changed = applyDefaults(item, items) || changed;
    return changed;
  }
  if (!isRecord(value)) return false;
  for (const [name, field] of Object.entries(properties)) {
    if (!hasDefaults(field)) continue;
    const isSet = Object.hasOwn(value, name) && value[name] !== undefined;
    if (field.default !== undefined && (!isSet || (value[name] === null && !field.nullable))) {
      value[name] = structuredClone(field.default);
      changed = true;
    }
    if (Object.hasOwn(value, name)) changed = applyDefaults(value[name], field) || changed;
  }
  if (!additionalProperties) return changed;
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(properties, name)) changed = applyDefaults(value[name], additionalProperties) || changed;
  }
  return changed;
}

/** Removes nulls of fields that may not be null; they count as absent. After the defaults. Changes `value`. */
export function dropNulls(value: unknown, schema: JsonSchema): void {
  const { properties = {}, additionalProperties, items } = schema;
  if (Array.isArray(value)) {
    if (items) for (const item of value) dropNulls(item, items);
    return;
  }
  if (!isRecord(value)) return;
  for (const name of Object.keys(value)) {
    const field = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (!field) continue;
    if (value[name] === null && !field.nullable) delete value[name];
    else dropNulls(value[name], field);
  }
}

/** Whether a default is anywhere in it; so that most of an object is never walked. */
export function hasDefaults(schema: JsonSchema): boolean {
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
