/** Which old value an item of a list is to be compared with: only lists of type `map` say (`k8s.io/apiserver/pkg/cel/common`). */
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

const none = (): undefined => undefined;

/** A function from an item to the old item with the same keys; undefined where there is none. */
export function correlate(schema: JsonSchema, old: unknown): (item: unknown) => unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys || !Array.isArray(old) || old.length === 0) return none;
  const fields = schema.items?.properties ?? {};
  const keyOf = (item: unknown): string | undefined =>
    isRecord(item) ? JSON.stringify(keys.map((key) => item[key] ?? fields[key]?.default ?? null)) : undefined;
  const byKey = new Map<string | undefined, unknown>();
  for (const item of old) if (!byKey.has(keyOf(item))) byKey.set(keyOf(item), item);
  return (item) => {
    const key = keyOf(item);
    return key === undefined ? undefined : byKey.get(key);
  };
}
