/** Who owns what after an update or an apply: pure functions of states, schema and owners (structured-merge-diff `merge`). */
import type { Json, JsonObject } from '../merge-patch.ts';
import { compareFields, isUnchanged, type Comparison } from './compare.ts';
import { applyConflict, type Conflict } from './conflicts.ts';
import {
  decodeFields,
  difference,
  differenceBelow,
  emptySet,
  intersection,
  isEmpty,
  union,
  type FieldSet,
} from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import { allowedByLastApplied } from './last-applied.ts';
import {
  capUpdaters,
  isSameManager,
  withoutEmpty,
  type ManagedFields,
  type Manager,
  type ManagerFields,
} from './managed-fields.ts';
import { mergeConfig, removeFields, withNamedFields } from './merge.ts';
import type { Structure } from './structure.ts';

/** Fields of which nobody is the owner: identity, and what the server writes. */
const neverOwned = decodeFields({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    '.': {},
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
  },
});

export interface UpdateStep {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly structure: Structure;
  /** What the (sub)resource does not write. */
  readonly ignored: FieldSet;
  readonly managed: ManagedFields;
  readonly manager: Manager;
  /** `metav1.Time` */
  readonly now: string | undefined;
}

/** The owners after a create, update or patch: the manager takes what it changed from everybody else. */
export function ownersAfterUpdate(step: UpdateStep): ManagedFields {
  const { manager, managed } = step;
  const comparison = withoutIgnored(compareFields(step.before, step.after, step.structure), step.ignored);
  if (isUnchanged(comparison)) return managed;
  const changed = union(comparison.added, comparison.modified);
  const others = take(managed, changed, comparison.removed);
  const fields = difference(changed, neverOwned);
  if (isEmpty(fields)) return withoutEmpty(others);
  const previous = others.find((entry) => isSameManager(entry, manager));
  const entry: ManagerFields = { ...manager, time: step.now, fields: union(fields, previous?.fields ?? emptySet) };
  return capUpdaters(withoutEmpty([...others.filter((other) => other !== previous), entry]));
}

export interface ApplyStep {
  readonly live: JsonObject;
  readonly config: JsonObject;
  readonly structure: Structure;
  readonly ignored: FieldSet;
  readonly managed: ManagedFields;
  readonly manager: Manager;
  readonly force: boolean;
  readonly now: string | undefined;
}

export interface Applied {
  readonly object: JsonObject;
  readonly managed: ManagedFields;
}

/**
 * The object and its owners after an apply: the configuration merged in, and taken out what the manager applied before,
 * does not apply any more, and nobody else holds. Throws 409 when others hold a field with another value, unless forced.
 */
export function applyConfig(step: ApplyStep): Applied {
  const { live, config, structure, manager, ignored } = step;
  const managed = step.managed.length > 0 ? step.managed : beforeFirstApply(step);
  const previous = managed.find((entry) => isSameManager(entry, manager));
  const fields = differenceBelow(fieldsOf(config, structure), ignored);
  const own: ManagerFields = { ...manager, time: step.now, fields };
  const everybody = [...managed.filter((entry) => entry !== previous), own];
  const merged = mergeConfig(live, config, structure) as JsonObject;
  const object = previous ? prune(merged, previous.fields, everybody, structure) : merged;

  const comparison = withoutIgnored(compareFields(live, object, structure), ignored);
  const changed = union(comparison.added, comparison.modified);
  const conflicts = everybody
    .filter((entry) => entry !== own)
    .map((entry): Conflict => ({ manager: entry, fields: intersection(entry.fields, changed) }))
    .filter((conflict) => !isEmpty(conflict.fields));
  if (!step.force && conflicts.length > 0) refuseConflicts(step, conflicts);
  const others = take(
    everybody.filter((entry) => entry !== own),
    changed,
    comparison.removed,
  );
  return { object, managed: withoutEmpty([...others, { ...own, fields: difference(fields, neverOwned) }]) };
}

/** An object that nobody tracked is held by "before-first-apply". */
function beforeFirstApply({ live, structure, ignored, manager, now }: ApplyStep): ManagedFields {
  return ownersAfterUpdate({
    before: {},
    after: live,
    structure,
    ignored,
    managed: [],
    manager: { ...manager, name: 'before-first-apply', operation: 'Update' },
    now,
  });
}

/** kubectl may take over what it once applied on the client's side and nobody changed since. */
function refuseConflicts({ manager, live, structure }: ApplyStep, conflicts: readonly Conflict[]): void {
  if (manager.name !== 'kubectl') throw applyConflict(conflicts);
  const allowed = allowedByLastApplied(live, structure);
  const remaining = conflicts
    .map((conflict) => ({ ...conflict, fields: difference(conflict.fields, allowed) }))
    .filter((conflict) => !isEmpty(conflict.fields));
  if (remaining.length > 0) throw applyConflict(remaining);
}

function take(managed: ManagedFields, changed: FieldSet, removed: FieldSet): ManagedFields {
  return managed.map((entry) => {
    const left = difference(difference(entry.fields, changed), removed);
    return left === entry.fields ? entry : { ...entry, fields: left };
  });
}

/** Takes out of `merged` what was applied last time, but for what is owned now by anybody. */
function prune(merged: JsonObject, last: FieldSet, managed: ManagedFields, structure: Structure): JsonObject {
  const owned = managed.reduce((all, entry) => union(all, entry.fields), emptySet);
  const lastNamed = withNamedFields(last, structure);
  const all = withNamedFields(fieldsOf(merged, structure), structure);
  const remove = (set: FieldSet): JsonObject => removeFields(merged as Json, set, structure) as JsonObject;
  const named = (value: JsonObject): FieldSet => withNamedFields(fieldsOf(value, structure), structure);

  const withoutLast = named(remove(lastNamed));
  const withOwned = remove(difference(all, union(withoutLast, withNamedFields(owned, structure))));
  // Only what was applied last time goes, whatever was removed along with it.
  return remove(intersection(difference(all, named(withOwned)), lastNamed));
}

function withoutIgnored(comparison: Comparison, ignored: FieldSet): Comparison {
  return {
    added: differenceBelow(comparison.added, ignored),
    modified: differenceBelow(comparison.modified, ignored),
    removed: differenceBelow(comparison.removed, ignored),
  };
}
