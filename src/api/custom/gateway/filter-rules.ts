/** What filters of HTTPRoute and GRPCRoute have in common: a type, one field for each type, and the rules on both. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { choice, listOf, object, rule, withRules } from './shape.ts';

/** The types of filters, each with the field that says more of it. */
type FilterTypes = Readonly<Record<string, readonly [field: string, schema: JsonSchema]>>;

/** A filter has the field of its type and no other; those of `single` come at most once in a list. */
export function filters(
  types: FilterTypes,
  single: readonly string[],
  ...rules: readonly ValidationRule[]
): JsonSchema {
  const fields = Object.fromEntries(Object.values(types));
  const type = choice('What the filter does; the field of that name says more.', ...Object.keys(types));
  const filter = withRules(
    object('Something that is done to requests or their responses.', { type, ...fields }, 'type'),
    ...Object.entries(types).flatMap(([name, [field]]) => fieldOfType(name, field)),
  );
  return withRules(
    listOf('What is done to requests or their responses on the way.', filter, { max: 16 }),
    ...rules,
    ...single.map((name) =>
      rule(`${name} filter cannot be repeated`, `self.filter(f, f.type == '${name}').size() <= 1`),
    ),
  );
}

function fieldOfType(type: string, field: string): ValidationRule[] {
  return [
    rule(
      `filter.${field} must be nil if the filter.type is not ${type}`,
      `!(has(self.${field}) && self.type != '${type}')`,
    ),
    rule(
      `filter.${field} must be specified for ${type} filter.type`,
      `!(!has(self.${field}) && self.type == '${type}')`,
    ),
  ];
}
