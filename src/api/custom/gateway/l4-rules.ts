/** The rules of TCPRoute, UDPRoute and TLSRoute: connections go to backends by their weights. */
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomVersion } from '../custom-kind.ts';
import { age, deprecated, kindSchema } from './definition.ts';
import { parentReferences, routeStatus, useDefaultGateways } from './parents.ts';
import { weightedBackend } from './references.ts';
import { namesDiffer, ruleName } from './route-rules.ts';
import { listOf, object, withRules } from './shape.ts';

const routeRule: JsonSchema = object(
  'Where connections go.',
  {
    name: ruleName,
    backendRefs: listOf('Where connections go, each backend for its share by weight.', weightedBackend('A backend.'), {
      min: 1,
      max: 16,
    }),
  },
  'backendRefs',
);

/** From v1 on. */
export const oneRule: JsonSchema = listOf('The rule.', routeRule, { min: 1, max: 1 });

/** Before v1. */
export const rules: JsonSchema = withRules(listOf('The rules.', routeRule, { min: 1, max: 16 }), namesDiffer);

/** The versions of a route that chooses by its parent alone. */
export function l4Versions(kind: string, description: string): CustomVersion[] {
  const version = (name: string, ruleList: JsonSchema): CustomVersion => ({
    name,
    schema: kindSchema(
      description,
      object('Where connections go.', { parentRefs: parentReferences, rules: ruleList, useDefaultGateways }, 'rules'),
      routeStatus,
    ),
    columns: [age],
  });
  return [{ ...version('v1', oneRule), storage: true }, deprecated(kind, version('v1alpha2', rules))];
}
