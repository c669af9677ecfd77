/**
 * Sets of field paths, as `metadata.managedFields` keeps them.
 *
 * The model is `fieldpath.Set` of sigs.k8s.io/structured-merge-diff, the text form its FieldsV1: a tree whose keys are path
 * elements and whose "." marks a path that is itself a member. Sets are never changed in place.
 */
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';

/** `f:NAME`, `k:{"key":VALUE}` (keys sorted), `v:VALUE`, `i:INDEX`. */
export type PathElement = string;

/** No child is ever empty. */
export interface FieldSet {
  readonly member: boolean;
  readonly children: ReadonlyMap<PathElement, FieldSet>;
}

const noChildren: ReadonlyMap<PathElement, FieldSet> = new Map();

export const emptySet: FieldSet = { member: false, children: noChildren };
export const memberSet: FieldSet = { member: true, children: noChildren };

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

/** A set of these children; empty ones are left out. */
export function setOf(member: boolean, children: Iterable<readonly [PathElement, FieldSet]>): FieldSet {
  const kept = new Map<PathElement, FieldSet>();
  for (const [element, child] of children) if (!isEmpty(child)) kept.set(element, child);
  if (kept.size === 0) return member ? memberSet : emptySet;
  return { member, children: kept };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const children = new Map(a.children);
  for (const [element, child] of b.children) {
    const own = children.get(element);
    children.set(element, own ? union(own, child) : child);
  }
  return { member: a.member || b.member, children };
}

/** The members of `a` that are not members of `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(b)) return a;
  return setOf(a.member && !b.member, mapChildren(a, b, difference));
}

/** The members of `a` that neither are in `b` nor lie below a member of it. */
export function differenceBelow(a: FieldSet, b: FieldSet): FieldSet {
  if (b.member) return emptySet;
  return setOf(a.member, mapChildren(a, b, differenceBelow));
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children: [PathElement, FieldSet][] = [];
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (other) children.push([element, intersection(child, other)]);
  }
  return setOf(a.member && b.member, children);
}

export function setsEqual(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (!other || !setsEqual(child, other)) return false;
  }
  return true;
}

/** Every member as a path: `.spec.containers[name="x"].image`. Those of a level come before those below it. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const entries = [...set.children].toSorted(([a], [b]) => compareElements(a, b));
  return [
    ...entries.filter(([, child]) => child.member).map(([element]) => prefix + elementText(element)),
    ...entries.flatMap(([element, child]) => pathsOf(child, prefix + elementText(element))),
  ];
}

/** FieldsV1. */
export function encodeFields(set: FieldSet): JsonObject {
  const result: JsonObject = {};
  if (set.member && set.children.size > 0) result['.'] = {};
  for (const element of [...set.children.keys()].toSorted(compareElements)) {
    result[element] = encodeFields(set.children.get(element) ?? emptySet);
  }
  return result;
}

/** The set of FieldsV1. Throws SyntaxError or TypeError for what is none. */
export function decodeFields(fields: Json | undefined): FieldSet {
  return decodeLevel(fields, true);
}

/** `k:{...}` of the key fields of a list item. */
export function keyElement(keys: JsonObject): PathElement {
  const sorted = Object.keys(keys).toSorted();
  return `k:{${sorted.map((key) => `${JSON.stringify(key)}:${JSON.stringify(keys[key])}`).join(',')}}`;
}

export function valueElement(value: Json): PathElement {
  return `v:${JSON.stringify(value)}`;
}

export function fieldElement(name: string): PathElement {
  return `f:${name}`;
}

function mapChildren(
  a: FieldSet,
  b: FieldSet,
  combine: (a: FieldSet, b: FieldSet) => FieldSet,
): (readonly [PathElement, FieldSet])[] {
  return [...a.children].map(([element, child]) => {
    const other = b.children.get(element);
    return [element, other ? combine(child, other) : child];
  });
}

function decodeLevel(fields: Json | undefined, isRoot: boolean): FieldSet {
  if (!isJsonObject(fields)) throw new TypeError('fieldsV1 must be an object');
  const entries = Object.entries(fields);
  if (entries.length === 0) return isRoot ? emptySet : memberSet;
  const children: [PathElement, FieldSet][] = [];
  for (const [key, child] of entries) if (key !== '.') children.push([canonical(key), decodeLevel(child, false)]);
  return setOf(Object.hasOwn(fields, '.'), children);
}

/** The one spelling of a path element that sets compare by. */
function canonical(element: string): PathElement {
  const text = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return element;
    case 'k:': {
      const keys = JSON.parse(text) as Json;
      if (!isJsonObject(keys)) throw new TypeError('the keys of a path element must be an object');
      return keyElement(keys);
    }
    case 'v:':
      return valueElement(JSON.parse(text) as Json);
    case 'i:':
      if (/^-?\d{1,9}$/.test(text)) return element;
      break;
    default:
      break;
  }
  throw new TypeError(`${JSON.stringify(element)} is no path element`);
}

const kindOrder = 'fkvi';

function compareElements(a: PathElement, b: PathElement): number {
  const kinds = kindOrder.indexOf(a[0] ?? '') - kindOrder.indexOf(b[0] ?? '');
  return kinds === 0 ? (a < b ? -1 : a > b ? 1 : 0) : kinds;
}

export function elementText(element: PathElement): string {
  const text = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${text}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(text) as JsonObject);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${text}]`;
    case undefined:
    default:
      return `[${text}]`;
  }
}
