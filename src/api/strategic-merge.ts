/**
 * Strategic merge patch: lists merge by the keys that the schema names.
 *
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch and "Update API Objects in Place Using kubectl patch". Directives:
 * `$patch: delete|replace|merge`, `$retainKeys`, `$setElementOrder/FIELD`, `$deleteFromPrimitiveList/FIELD`.
 */
import { AmbitError } from '../lib/errors.ts';
import { isJsonObject, setOwn, type Json, type JsonObject } from '../lib/json.ts';
import type { JsonSchema } from './schema/schema.ts';

const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** The patched object; neither argument is changed. Throws `api.strategic-merge` for a directive that makes no sense. */
export function applyStrategicMergePatch(
  target: JsonObject,
  patch: JsonObject,
  schema: JsonSchema | undefined,
): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'delete') return {};
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive !== undefined && directive !== 'merge') {
    throw noSense(`unknown patch type ${JSON.stringify(directive)}: $patch is delete, replace or merge`);
  }
  const result = retain({ ...target }, patch['$retainKeys']);
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys') continue;
    if (key.startsWith(deletePrefix)) {
      const field = key.slice(deletePrefix.length);
      const removed = listOf(value, key);
      const current = result[field];
      if (Array.isArray(current))
        setOwn(
          result,
          field,
          current.filter((item) => !removed.includes(item)),
        );
    } else if (!key.startsWith(orderPrefix)) {
      const order = patch[`${orderPrefix}${key}`];
      patchField(result, key, value, fieldSchema(schema, key), order === undefined ? undefined : listOf(order, key));
    }
  }
  for (const [key, value] of Object.entries(patch)) {
    // An order without changes to the list only moves items.
    if (!key.startsWith(orderPrefix)) continue;
    const field = key.slice(orderPrefix.length);
    const current = result[field];
    if (patch[field] !== undefined || !Array.isArray(current)) continue;
    setOwn(
      result,
      field,
      ordered(current, current, listOf(value, key), fieldSchema(schema, field)?.['x-kubernetes-patch-merge-key']),
    );
  }
  return result;
}

function patchField(
  result: JsonObject,
  key: string,
  value: Json,
  schema: JsonSchema | undefined,
  order: Json[] | undefined,
): void {
  const current = Object.hasOwn(result, key) ? result[key] : undefined;
  if (value === null) delete result[key];
  else if (isJsonObject(value)) {
    setOwn(result, key, applyStrategicMergePatch(isJsonObject(current) ? current : {}, value, schema));
  } else if (Array.isArray(value) && mergesLists(schema)) {
    const before = Array.isArray(current) ? current : [];
    const mergeKey = schema?.['x-kubernetes-patch-merge-key'];
    const merged =
      mergeKey === undefined ? mergeScalars(before, value) : mergeItems(before, value, mergeKey, schema?.items);
    setOwn(result, key, ordered(before, merged, order ?? value.filter((item) => !isDirective(item)), mergeKey));
  } else setOwn(result, key, structuredClone(value));
}

/** An item that says what to do, and is none itself. */
function isDirective(item: Json): boolean {
  return isJsonObject(item) && item['$patch'] !== undefined && item['$patch'] !== 'merge';
}

function mergeScalars(before: Json[], patch: Json[]): Json[] {
  return [...before, ...patch.filter((item) => !before.includes(item))];
}

function mergeItems(before: Json[], patch: Json[], mergeKey: string, schema: JsonSchema | undefined): Json[] {
  const items = patch.map((item) => {
    if (!isJsonObject(item)) throw noSense(`a list that merges by ${JSON.stringify(mergeKey)} holds objects only`);
    return item;
  });
  if (items.some((item) => item['$patch'] === 'replace' && item[mergeKey] === undefined)) {
    return items.filter((item) => item['$patch'] === undefined).map(withoutDirectives);
  }
  let result = [...before];
  for (const item of items) {
    const id = item[mergeKey];
    if (id === undefined)
      throw noSense(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    const index = result.findIndex((other) => isJsonObject(other) && other[mergeKey] === id);
    const current = result[index];
    if (item['$patch'] === 'delete') result = result.filter((other) => !isJsonObject(other) || other[mergeKey] !== id);
    else if (isJsonObject(current)) result[index] = applyStrategicMergePatch(current, item, schema);
    else result.push(applyStrategicMergePatch({}, item, schema));
  }
  return result;
}

/**
 * `items` in the order of the patch, with those that only the server knows kept where they were relative to the rest
 * (`strategicpatch.normalizeElementOrder`).
 */
function ordered(before: Json[], items: Json[], order: Json[], mergeKey: string | undefined): Json[] {
  const idOf = (item: Json): Json | undefined => (mergeKey !== undefined && isJsonObject(item) ? item[mergeKey] : item);
  const wanted = order.map(idOf);
  const original = before.map(idOf);
  const named = items
    .filter((item) => wanted.includes(idOf(item)))
    .toSorted((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  const others = items.filter((item) => !wanted.includes(idOf(item)));
  const result: Json[] = [];
  while (named.length > 0 && others.length > 0) {
    const left = original.indexOf(idOf(named[0] ?? null));
    const right = original.indexOf(idOf(others[0] ?? null));
    result.push((left < right ? named : others).shift() ?? null);
  }
  return [...result, ...named, ...others];
}

function retain(target: JsonObject, keys: Json | undefined): JsonObject {
  if (keys === undefined) return target;
  const kept = listOf(keys, '$retainKeys');
  return Object.fromEntries(Object.entries(target).filter(([key]) => kept.includes(key)));
}

function withoutDirectives(patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys' || key.startsWith(orderPrefix) || key.startsWith(deletePrefix))
      continue;
    setOwn(result, key, structuredClone(value));
  }
  return result;
}

function fieldSchema(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const known = schema?.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
  return known ?? schema?.additionalProperties;
}

function mergesLists(schema: JsonSchema | undefined): boolean {
  return schema?.['x-kubernetes-patch-strategy']?.split(',').includes('merge') ?? false;
}

function listOf(value: Json, directive: string): Json[] {
  if (!Array.isArray(value)) throw noSense(`${directive} must be a list`);
  return value;
}

function noSense(message: string): AmbitError {
  return new AmbitError(message, { code: 'api.strategic-merge', blame: 'downstream' });
}
