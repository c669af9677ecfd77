/** Objects as they come in: parsing bodies, unknown fields, and comparison. */
import type { JsonSchema, KindInfo, KubeObject } from '../../api/index.ts';
import { pruneUnknown, unknownFields } from '../../api/serving.ts';
import { isJsonObject, setOwn, type Json, type JsonObject } from './merge-patch.ts';
import { badRequest } from './status-error.ts';

/** Any object of the API, seen as its usual parts. */
export interface ApiObject extends KubeObject {
  spec?: JsonObject;
  status?: JsonObject;
  [field: string]: unknown;
}

/** `fieldValidation` of a request: what happens to fields that the schema does not know. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/**
 * A copy with unknown fields dropped, and of Kubernetes' own kinds also nulls. Unknown fields are reported: to `warn`, or by
 * a 400 that names them all under Strict.
 */
export function dropUnknownFields(
  kind: KindInfo,
  object: ApiObject,
  validation: FieldValidation,
  warn: (message: string) => void,
): ApiObject {
  const unknown = validation === 'Ignore' ? [] : unknownFields(object, kind.schema);
  const messages = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
  if (validation === 'Strict' && messages.length > 0) {
    throw badRequest(
      `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: strict decoding error: ${messages.join(', ')}`,
    );
  }
  for (const message of messages) warn(message);
  if (kind.isCustom) {
    const copy = structuredClone(object);
    pruneUnknown(copy, kind.schema);
    return copy;
  }
  return prune(object as unknown as Json, kind.schema) as unknown as ApiObject;
}

/** Whether two JSON values are equal; the order of keys does not matter. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => jsonEqual(item, b[i]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a).filter((key) => a[key] !== undefined);
  if (keys.length !== Object.keys(b).filter((key) => b[key] !== undefined).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && jsonEqual(a[key], b[key]));
}

function prune(value: Json, schema: JsonSchema | undefined): Json {
  if (Array.isArray(value)) return value.map((item) => prune(item, schema?.items));
  if (!isJsonObject(value)) return value;
  const result: JsonObject = {};
  const open =
    schema === undefined || schema.type !== 'object' || schema['x-kubernetes-preserve-unknown-fields'] === true;
  for (const [key, item] of Object.entries(value)) {
    const known = schema?.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    const next = known ?? schema?.additionalProperties;
    // In an open object null is data; in a known field it means absent.
    if (item === null && (next !== undefined || !open)) continue;
    if (next !== undefined || open) setOwn(result, key, prune(item, next));
  }
  return result;
}
