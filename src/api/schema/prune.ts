/** Fields that a schema does not know: naming them, and dropping them (`apiextensions-apiserver/pkg/apiserver/schema/pruning`). */
import { isRecord } from '../field-view.ts';
import { objectMeta } from './meta.ts';
import { text, type JsonSchema } from './schema.ts';

/** Paths of the fields that the schema does not know. */
export function unknownFields(value: unknown, schema: JsonSchema, path = ''): string[] {
  const found: string[] = [];
  walk(value, schema, path, (_, __, where) => found.push(where));
  return found;
}

/** Removes what the schema does not know. Changes `value`. */
export function pruneUnknown(value: unknown, schema: JsonSchema): void {
  walk(value, schema, '', (owner, name) => delete owner[name]);
}

type OnUnknown = (owner: Record<string, unknown>, name: string, path: string) => void;

function walk(value: unknown, schema: JsonSchema, path: string, onUnknown: OnUnknown): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) for (let i = 0; i < value.length; i++) walk(value[i], items, `${path}[${i}]`, onUnknown);
    return;
  }
  if (!isRecord(value)) return;
  const { properties, additionalProperties } = schema;
  const open =
    schema['x-kubernetes-preserve-unknown-fields'] === true || (schema.type !== 'object' && properties === undefined);
  for (const name of Object.keys(value)) {
    const known =
      properties && Object.hasOwn(properties, name)
        ? properties[name]
        : schema['x-kubernetes-embedded-resource'] && Object.hasOwn(embeddedFields, name)
          ? embeddedFields[name]
          : undefined;
    if (known) walk(value[name], known, join(path, name), onUnknown);
    else if (additionalProperties) walk(value[name], additionalProperties, `${path}[${name}]`, onUnknown);
    else if (!open) onUnknown(value, name, join(path, name));
  }
}

const embeddedFields: Readonly<Record<string, JsonSchema>> = { apiVersion: text, kind: text, metadata: objectMeta };

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
