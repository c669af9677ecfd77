/** What the rules of routes have in common: names that differ, and a limit on all matches together. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { hostname, sectionName } from './names.ts';
import { listOf, rule } from './shape.ts';

/** A real API server gives up on a schema whose rules may cost too much; this bounds what the rules on matches cost. */
const maxRules = 16;

export const ruleName: JsonSchema = sectionName('Name of the rule, by which policies and status point at it.');

export const hostnames: JsonSchema = listOf(
  'Host names that requests must be for; any that the listener takes, if absent.',
  hostname('A host name; *. stands for its first labels.'),
  { max: 16 },
);

export const namesDiffer: ValidationRule = rule(
  'Rule name must be unique within the route',
  'self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))',
);

/** `matches(n)` is an expression for the number of matches of rule n. */
export function matchesInAll(matches: (index: number) => string): ValidationRule {
  const terms = Array.from({ length: maxRules }, (_, index) => `(self.size() > ${index} ? ${matches(index)} : 0)`);
  return rule(
    'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128',
    `${terms.join(' + ')} <= 128`,
  );
}
