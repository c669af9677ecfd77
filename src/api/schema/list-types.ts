/** Lists of type `set` and `map`: no item, or no combination of keys, twice (`apiextensions-apiserver/pkg/apiserver/schema/listtype`). */
import { duplicate, invalid, type FieldError } from '../field-error.ts';
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

/** Every repetition in a value, with its path. Kubernetes' own kinds check theirs in their rules. */
export function repeatedItems(value: unknown, schema: JsonSchema, path = ''): FieldError[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    const inner = items ? value.flatMap((item, i) => repeatedItems(item, items, `${path}[${i}]`)) : [];
    switch (schema['x-kubernetes-list-type']) {
      case 'set':
        return [...repeated(value, path, (item) => item), ...inner];
      case 'map': {
        const keys = schema['x-kubernetes-list-map-keys'] ?? [];
        const odd = firstWithoutKeys(value, path);
        return [...(odd ? [odd] : repeated(value, path, (item) => pick(item, keys))), ...inner];
      }
      case 'atomic':
      case undefined:
        return inner;
    }
  }
  if (!isRecord(value)) return [];
  const { properties, additionalProperties } = schema;
  return Object.entries(value).flatMap(([name, item]) => {
    const known = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known) return repeatedItems(item, known, path === '' ? name : `${path}.${name}`);
    return additionalProperties ? repeatedItems(item, additionalProperties, `${path}[${name}]`) : [];
  });
}

/** The first item of a map that is no object, and so has no keys. */
function firstWithoutKeys(list: readonly unknown[], path: string): FieldError | undefined {
  const i = list.findIndex((item) => item !== null && !isRecord(item));
  return i < 0 ? undefined : invalid(`${path}[${i}]`, list[i], 'must be an object for an array of list-type map');
}

/** The first repetition of each item, or of what identifies it. */
function repeated(list: readonly unknown[], path: string, identity: (item: unknown) => unknown): FieldError[] {
  if (list.length < 2) return [];
  const times = new Map<string, number>();
  return list.flatMap((item, i) => {
    const id = identity(item);
    const key = canonical(id);
    const seen = (times.get(key) ?? 0) + 1;
    times.set(key, seen);
    return seen === 2 ? [duplicate(`${path}[${i}]`, id)] : [];
  });
}

function pick(item: unknown, keys: readonly string[]): Record<string, unknown> {
  if (!isRecord(item)) return {};
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(item, key)).map((key) => [key, item[key]]));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null';
  const keys = Object.keys(value).toSorted();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
}
