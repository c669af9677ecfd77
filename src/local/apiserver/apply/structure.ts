/** What a schema says about merging: which maps and lists are one value, and what identifies an item of a list. */
import type { JsonSchema, KindInfo } from '../../../api/index.ts';
import { objectMeta } from '../../../api/serving.ts';
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import { keyElement, valueElement, type PathElement } from './field-set.ts';

export type Structure = JsonSchema | undefined;

/** How a value is compared and merged: as one leaf, by field, or by item. */
export type Shape = 'leaf' | 'map' | 'list';

const structures = new WeakMap<JsonSchema, JsonSchema>();

/** The schema of a whole object of the kind, with the metadata that every object has. */
export function structureOf(kind: Pick<KindInfo, 'schema'>): JsonSchema {
  let structure = structures.get(kind.schema);
  if (!structure) {
    const text: JsonSchema = { type: 'string' };
    structure = {
      ...kind.schema,
      type: 'object',
      properties: { ...kind.schema.properties, apiVersion: text, kind: text, metadata: objectMeta },
    };
    structures.set(kind.schema, structure);
  }
  return structure;
}

/** The shape of a value: null has none. Without a schema, maps merge and lists are one value. */
export function shapeOf(value: Json | undefined, structure: Structure): Shape | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) {
    const isList = structure?.type === 'array' && structure['x-kubernetes-list-type'] !== undefined;
    return isList && structure['x-kubernetes-list-type'] !== 'atomic' ? 'list' : 'leaf';
  }
  if (!isJsonObject(value)) return 'leaf';
  return structure?.['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map';
}

/** The schema of a field: that of its name, or that of any other. */
export function fieldStructure(structure: Structure, name: string): Structure {
  return isNamedField(structure, name) ? structure?.properties?.[name] : structure?.additionalProperties;
}

/** Whether the schema names the field, as it names those of a struct and not those of a map. */
export function isNamedField(structure: Structure, name: string): boolean {
  return structure?.properties !== undefined && Object.hasOwn(structure.properties, name);
}

/** What identifies an item of a list that is merged by item; undefined when the item lacks it. */
export function itemElement(item: Json, structure: Structure): PathElement | undefined {
  if (structure?.['x-kubernetes-list-type'] === 'set') {
    return typeof item === 'object' ? undefined : valueElement(item);
  }
  if (!isJsonObject(item)) return undefined;
  const keys: JsonObject = {};
  for (const name of structure?.['x-kubernetes-list-map-keys'] ?? []) {
    const value = (Object.hasOwn(item, name) ? item[name] : undefined) ?? keyDefault(structure, name);
    if (value === undefined) return undefined;
    keys[name] = value;
  }
  return keyElement(keys);
}

function keyDefault(structure: Structure, name: string): Json | undefined {
  const schema = structure?.items?.properties?.[name];
  const value = schema?.default as Json | undefined;
  // Every protocol of the API is TCP unless it says otherwise.
  return value ?? (name === 'protocol' && schema?.enum?.includes('TCP') ? 'TCP' : undefined);
}
