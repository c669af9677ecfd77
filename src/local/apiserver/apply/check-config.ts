/** Whether an applied configuration can be read by its schema, with the complaints that Kubernetes has (`ObjectToTyped`). */
import { isJsonObject, type Json } from '../merge-patch.ts';
import { elementText, fieldElement, type PathElement } from './field-set.ts';
import { fieldStructure, itemElement, shapeOf, type Structure } from './structure.ts';

/** Every problem: fields that nobody declared, values of the wrong type, items that are there twice. */
export function configProblems(value: Json, structure: Structure, path = ''): string[] {
  if (value === null || structure === undefined || structure['x-kubernetes-int-or-string']) return [];
  switch (structure.type) {
    case 'object':
      return isJsonObject(value) ? entryProblems(value, structure, path) : [mistyped(path, 'map', value)];
    case 'array':
      return Array.isArray(value) ? itemProblems(value, structure, path) : [mistyped(path, 'list', value)];
    case 'string':
      return typeof value === 'string' ? [] : [mistyped(path, 'string', value)];
    case 'integer':
    case 'number':
      return typeof value === 'number' ? [] : [mistyped(path, 'numeric (int or float)', value)];
    case 'boolean':
      return typeof value === 'boolean' ? [] : [mistyped(path, 'boolean', value)];
    case undefined:
    default:
      return [];
  }
}

function entryProblems(value: Record<string, Json>, structure: NonNullable<Structure>, path: string): string[] {
  const isOpen = structure['x-kubernetes-preserve-unknown-fields'] === true || structure.properties === undefined;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.flatMap(([name, item]) => {
    const next = fieldStructure(structure, name);
    const at = path + elementText(fieldElement(name));
    if (next === undefined && !isOpen) return [`${at}: field not declared in schema`];
    return configProblems(item, next, at);
  });
}

function itemProblems(value: Json[], structure: NonNullable<Structure>, path: string): string[] {
  const isMerged = shapeOf(value, structure) === 'list';
  const seen = new Set<PathElement>();
  return value.flatMap((item, i) => {
    if (!isMerged) return configProblems(item, structure.items, `${path}[${i}]`);
    const element = itemElement(item, structure);
    if (element === undefined) return [`${path}: element ${i}: ${itemProblem(item, structure)}`];
    if (seen.has(element)) return [`${path}: duplicate entries for key ${elementText(element)}`];
    seen.add(element);
    return configProblems(item, structure.items, path + elementText(element));
  });
}

function itemProblem(item: Json, structure: NonNullable<Structure>): string {
  if (structure['x-kubernetes-list-type'] === 'set') {
    if (item === null) return "associative list without keys has an element that's an explicit null";
    return `associative list without keys has an element that's a ${Array.isArray(item) ? 'list' : 'map'} type`;
  }
  if (item === null) return 'associative list with keys may not have a null element';
  if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements';
  const missing = structure['x-kubernetes-list-map-keys']?.find((key) => item[key] === undefined) ?? '';
  return `associative list with keys has an element that omits key field ${JSON.stringify(missing)} (and doesn't have default value)`;
}

function mistyped(path: string, wanted: string, value: Json): string {
  const got = typeof value === 'string' ? 'string' : JSON.stringify(value);
  return `${path}: expected ${wanted}, got ${got}`;
}
