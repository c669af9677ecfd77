/** Merging an applied configuration into an object, and taking fields out again (structured-merge-diff). */
import { setOwn, type Json, type JsonObject } from '../merge-patch.ts';
import { isBare } from './compare.ts';
import { fieldElement, isEmpty, setOf, type FieldSet, type PathElement } from './field-set.ts';
import { fieldStructure, isNamedField, itemElement, shapeOf, type Structure } from './structure.ts';

/** `live` with everything that `config` sets. Neither is changed; the result shares their parts. */
export function mergeConfig(live: Json | undefined, config: Json | undefined, structure: Structure): Json | undefined {
  if (config === undefined) return live;
  const was = shapeOf(live, structure);
  const is = shapeOf(config, structure);
  if (is === 'map' && (was === 'map' || was === undefined)) {
    return mergeEntries((live ?? {}) as JsonObject, config as JsonObject, structure);
  }
  if (is === 'list' && (was === 'list' || was === undefined)) {
    return mergeItems((live ?? []) as Json[], config as Json[], structure);
  }
  // A map or list that is set to null keeps what others put there.
  if (config === null && (was === 'map' || was === 'list')) return live;
  return config;
}

/** `value` without the members of `fields` and what is below them. Values that are one leaf are never taken apart. */
export function removeFields(value: Json, fields: FieldSet, structure: Structure): Json {
  switch (shapeOf(value, structure)) {
    case 'map': {
      const result: JsonObject = {};
      for (const [name, item] of Object.entries(value as JsonObject)) {
        const below = fields.children.get(fieldElement(name));
        if (below?.member) continue;
        const kept = below ? removeFields(item, below, fieldStructure(structure, name)) : item;
        // What has lost all its content goes, too.
        if (kept === item || !isBare(kept)) setOwn(result, name, kept);
      }
      return result;
    }
    case 'list': {
      const result: Json[] = [];
      for (const item of value as Json[]) {
        const element = itemElement(item, structure);
        const below = element === undefined ? undefined : fields.children.get(element);
        if (below?.member) continue;
        result.push(below ? removeFields(item, below, structure?.items) : item);
      }
      return result;
    }
    case 'leaf':
    case undefined:
      return value;
  }
}

/** The set with every struct field on the way to a member: one that owns `.spec.a` counts as owning `.spec`. */
export function withNamedFields(set: FieldSet, structure: Structure): FieldSet {
  const children = [...set.children].map(([element, child]): readonly [PathElement, FieldSet] => {
    const name = element.startsWith('f:') ? element.slice(2) : undefined;
    const next = name === undefined ? structure?.items : fieldStructure(structure, name);
    const below = withNamedFields(child, next);
    const isNamed = name !== undefined && isNamedField(structure, name);
    return [element, isNamed && !isEmpty(below) ? { member: true, children: below.children } : below];
  });
  return setOf(set.member, children);
}

function mergeEntries(live: JsonObject, config: JsonObject, structure: Structure): JsonObject {
  const result: JsonObject = { ...live };
  for (const [name, item] of Object.entries(config)) {
    const before = Object.hasOwn(live, name) ? live[name] : undefined;
    setOwn(result, name, mergeConfig(before, item, fieldStructure(structure, name)) ?? null);
  }
  return result;
}

/**
 * Items of both, the applied ones in the applied order, others where they were relative to those
 * (`mergingWalker.visitListItems`).
 */
function mergeItems(live: readonly Json[], config: readonly Json[], structure: Structure): Json[] {
  const liveElements = live.map((item) => itemElement(item, structure) ?? '');
  const configElements = config.map((item) => itemElement(item, structure) ?? '');
  const liveByElement = new Map(live.map((item, i) => [liveElements[i] ?? '', item]));
  const applied = new Set(configElements);
  const shared = configElements.filter((element) => liveByElement.has(element));
  const merged = new Set<PathElement>();
  const result: Json[] = [];
  const mergeApplied = (index: number): void => {
    const element = configElements[index] ?? '';
    merged.add(element);
    result.push(mergeConfig(liveByElement.get(element), config[index], structure?.items) ?? null);
    if (shared[0] === element) shared.shift();
  };
  let l = 0;
  let c = 0;
  while (l < live.length || c < config.length) {
    const element = liveElements[l] ?? '';
    if (l < live.length && c < config.length) {
      if (element === configElements[c]) {
        mergeApplied(c++);
        l++;
        continue;
      }
      // Shared, but its turn comes later.
      if (applied.has(element) && shared.length > 0 && shared[0] !== element) {
        l++;
        continue;
      }
    }
    if (l < live.length) {
      if (!applied.has(element)) {
        result.push(live[l++] ?? null);
        continue;
      }
      if (merged.has(element)) l++;
    }
    if (c < config.length) mergeApplied(c++);
  }
  return result;
}
