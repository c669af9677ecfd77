/** What differs between two states of an object, as sets of fields (structured-merge-diff `Compare`). */
import { jsonEqual } from '../object-fields.ts';
import type { Json, JsonObject } from '../merge-patch.ts';
import { emptySet, fieldElement, isEmpty, memberSet, setOf, type FieldSet, type PathElement } from './field-set.ts';
import { fieldStructure, itemElement, shapeOf, type Structure } from './structure.ts';

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const same: Comparison = { added: emptySet, modified: emptySet, removed: emptySet };
const added: Comparison = { ...same, added: memberSet };
const modified: Comparison = { ...same, modified: memberSet };
const removed: Comparison = { ...same, removed: memberSet };

/** `undefined` means absent. A field that appears is a member itself, along with all below it. */
export function compareFields(before: Json | undefined, after: Json | undefined, structure: Structure): Comparison {
  if (before === after) return same;
  const was = shapeOf(before, structure);
  const is = shapeOf(after, structure);
  const isLeaf = was === 'leaf' || is === 'leaf' || (was === undefined && is === undefined);
  if (isLeaf || (was !== undefined && is !== undefined && was !== is) || (isBare(before) && isBare(after))) {
    if (before === undefined) return added;
    if (after === undefined) return removed;
    return jsonEqual(before, after) ? same : modified;
  }
  const below =
    (was ?? is) === 'list' ? compareItems(before, after, structure) : compareEntries(before, after, structure);
  if (before === undefined) return { ...below, added: { member: true, children: below.added.children } };
  if (after === undefined) return { ...below, removed: { member: true, children: below.removed.children } };
  return below;
}

export function isUnchanged(comparison: Comparison): boolean {
  return isEmpty(comparison.added) && isEmpty(comparison.modified) && isEmpty(comparison.removed);
}

function compareEntries(before: Json | undefined, after: Json | undefined, structure: Structure): Comparison {
  const old = (before ?? {}) as JsonObject;
  const next = (after ?? {}) as JsonObject;
  const names = new Set([...Object.keys(old), ...Object.keys(next)]);
  return collect(
    [...names].map((name) => [
      fieldElement(name),
      compareFields(ownValue(old, name), ownValue(next, name), fieldStructure(structure, name)),
    ]),
  );
}

function compareItems(before: Json | undefined, after: Json | undefined, structure: Structure): Comparison {
  const old = itemsByElement(before, structure);
  const next = itemsByElement(after, structure);
  const elements = new Set([...old.keys(), ...next.keys()]);
  return collect(
    [...elements].map((element) => {
      const was = old.get(element) ?? [];
      const is = next.get(element) ?? [];
      if (was.length > 1 || is.length > 1) {
        if (jsonEqual(was, is)) return [element, same];
        return [element, was.length === 0 ? added : is.length === 0 ? removed : modified];
      }
      return [element, compareFields(was[0], is[0], structure?.items)];
    }),
  );
}

function itemsByElement(list: Json | undefined, structure: Structure): Map<PathElement, Json[]> {
  const result = new Map<PathElement, Json[]>();
  for (const item of (list ?? []) as Json[]) {
    const element = itemElement(item, structure);
    if (element !== undefined) result.set(element, [...(result.get(element) ?? []), item]);
  }
  return result;
}

function collect(parts: readonly (readonly [PathElement, Comparison])[]): Comparison {
  const changed = parts.filter(([, part]) => part !== same);
  if (changed.length === 0) return same;
  return {
    added: setOf(
      false,
      changed.map(([element, part]) => [element, part.added]),
    ),
    modified: setOf(
      false,
      changed.map(([element, part]) => [element, part.modified]),
    ),
    removed: setOf(
      false,
      changed.map(([element, part]) => [element, part.removed]),
    ),
  };
}

function ownValue(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Absent, null, or an empty map or list: there is nothing to descend into. */
export function isBare(value: Json | undefined): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}
