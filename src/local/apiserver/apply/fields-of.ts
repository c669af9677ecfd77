/** Which fields an object sets (structured-merge-diff `ToFieldSet`): what an applier owns. */
import type { Json, JsonObject } from '../merge-patch.ts';
import { emptySet, fieldElement, memberSet, setOf, type FieldSet, type PathElement } from './field-set.ts';
import { fieldStructure, isNamedField, itemElement, shapeOf, type Structure } from './structure.ts';

/** Leaves, the items of merged lists, the keys of maps, and structs that are empty. */
export function fieldsOf(value: Json | undefined, structure: Structure): FieldSet {
  switch (shapeOf(value, structure)) {
    case undefined:
      return emptySet;
    case 'leaf':
      return memberSet;
    case 'map':
      return setOf(
        false,
        Object.entries(value as JsonObject).map(([name, item]) => {
          const child = fieldsOf(item, fieldStructure(structure, name));
          const isMember = child.member || !isNamedField(structure, name) || item === null || isEmptyObject(item);
          return [fieldElement(name), { member: isMember, children: child.children }];
        }),
      );
    case 'list': {
      const children = new Map<PathElement, FieldSet>();
      for (const item of value as Json[]) {
        const element = itemElement(item, structure);
        if (element === undefined) continue;
        // An item that is there twice is owned as a whole.
        const below = children.has(element) ? emptySet : fieldsOf(item, structure?.items);
        children.set(element, { member: true, children: below.children });
      }
      return setOf(false, children);
    }
  }
}

function isEmptyObject(value: Json): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}
