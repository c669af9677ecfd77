/** JSON values as CEL sees them, typed by their schema (`apiextensions-apiserver/pkg/apiserver/schema/cel/values.go`). */
import { Duration } from '@marcbachmann/cel-js/evaluator';
import { isRecord } from '../../field-view.ts';
import { goDurationNanos } from '../formats.ts';
import type { JsonSchema } from '../schema.ts';
import { celName } from './names.ts';

type ToCel = (value: unknown, schema: JsonSchema | undefined) => unknown;

/** Fields that rules at the root of an object see of its metadata. */
const rootFields: Readonly<Record<string, JsonSchema>> = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  metadata: { type: 'object', properties: { name: { type: 'string' }, generateName: { type: 'string' } } },
};

const roots = new WeakMap<JsonSchema, JsonSchema>();

/** The schema of a whole object, or of one embedded in another, as rules see it. */
export function withRootFields(schema: JsonSchema): JsonSchema {
  let root = roots.get(schema);
  if (!root) {
    root = { ...schema, type: 'object', properties: { ...schema.properties, ...rootFields } };
    roots.set(schema, root);
  }
  return root;
}

/** A conversion that does each object and list once, however many rules look at it. Use it for one object and drop it. */
export function celConversion(): ToCel {
  const done = new WeakMap<object, unknown>();
  const convert: ToCel = (value, schema) => {
    if (typeof value !== 'object' || value === null) return scalar(value, schema);
    const known = done.get(value);
    if (known !== undefined) return known;
    const result = Array.isArray(value) ? list(value, schema, convert) : object(value, schema, convert);
    done.set(value, result);
    return result;
  };
  return convert;
}

function scalar(value: unknown, schema: JsonSchema | undefined): unknown {
  if (typeof value === 'number') {
    return schema?.type === 'number' || !Number.isSafeInteger(value) ? value : BigInt(value);
  }
  return typeof value === 'string' && schema?.type === 'string' ? formatted(value, schema.format) : value;
}

/** What does not have its format stays text: the schema's own check says so. */
function formatted(text: string, format: string | undefined): unknown {
  if (format === 'byte') return Uint8Array.from(Buffer.from(text, 'base64'));
  if (format === 'duration') {
    const nanos = goDurationNanos(text);
    return nanos === undefined ? text : new Duration(nanos / 1_000_000_000n, Number(nanos % 1_000_000_000n));
  }
  if (format !== 'date' && format !== 'date-time' && format !== 'datetime') return text;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : new Date(ms);
}

function list(value: readonly unknown[], schema: JsonSchema | undefined, convert: ToCel): unknown {
  const items = value.map((item) => convert(item, schema?.items));
  // The order of a set does not count when it is compared. Of objects, identity is not equality.
  const isSet = schema?.['x-kubernetes-list-type'] === 'set' && items.every((item) => typeof item !== 'object');
  return isSet ? new Set(items) : items;
}

function object(value: object, given: JsonSchema | undefined, convert: ToCel): unknown {
  const schema = given?.['x-kubernetes-embedded-resource'] ? withRootFields(given) : given;
  const properties = schema?.properties;
  const result = Object.create(null) as Record<string, unknown>;
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const known = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known) {
      const escaped = celName(name);
      if (escaped !== undefined) result[escaped] = convert(item, known);
    } else if (schema?.additionalProperties || !properties) {
      result[name] = convert(item, schema?.additionalProperties);
    }
  }
  return result;
}

/** For functions of our own: the items of a CEL list, which may be a set. */
export function itemsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return value instanceof Set ? [...value] : isRecord(value) ? Object.keys(value) : [];
}
