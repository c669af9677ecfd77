/** Filling in fields of unchecked JSON: what has the wrong type is left for validation to name. */
import { isRecord } from '../field-view.ts';

export type JsonObject = Record<string, unknown>;

/** A deep copy without nulls: the API server reads null as absent. */
export function copyWithoutNulls<T>(value: T): T {
  return copy(value) as T;
}

/** Sets each field that is absent. */
export function fill(target: JsonObject, values: JsonObject): void {
  for (const [name, value] of Object.entries(values)) target[name] ??= value;
}

/** The object at a field, or undefined. */
export function objectAt(target: JsonObject, name: string): JsonObject | undefined {
  const value = target[name];
  return isRecord(value) ? value : undefined;
}

/** The object at a field, made if it is absent; undefined if something else is there. */
export function ensureObject(target: JsonObject, name: string): JsonObject | undefined {
  target[name] ??= {};
  return objectAt(target, name);
}

/** The objects of the list at a field. */
export function objectsAt(target: JsonObject, name: string): JsonObject[] {
  const value = target[name];
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (!isRecord(value)) return value;
  const result: JsonObject = {};
  for (const [name, item] of Object.entries(value)) {
    // `__proto__` as an own key of parsed JSON must stay an own key.
    if (item !== null && item !== undefined) {
      Object.defineProperty(result, name, { value: copy(item), enumerable: true, writable: true, configurable: true });
    }
  }
  return result;
}
