/** BackendTLSPolicy: TLS on the way to a backend, and what its certificate must show. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { backendValidation } from './backend-validation.ts';
import { age, deprecated, directPolicy, gatewayKind, kindSchema } from './definition.ts';
import { annotationValue } from './names.ts';
import { policyStatus } from './policy-status.ts';
import { policyTarget, targetSection } from './references.ts';
import { listOf, object, rule, textMap, withRules } from './shape.ts';

const schema: JsonSchema = kindSchema(
  'Makes clients of a Service, gateways among them, use TLS towards it.',
  object(
    'TLS for whom, and how.',
    {
      targetRefs: withRules(
        listOf(
          'Backends that the policy is for.',
          policyTarget('A backend, mostly a Service, or a port of it.', { sectionName: targetSection }),
          { min: 1, max: 16 },
        ),
        ...eachTargetOnce(),
      ),
      validation: backendValidation,
      options: textMap('Options of an implementation, under keys with its domain.', 16, annotationValue),
    },
    'targetRefs',
    'validation',
  ),
  policyStatus,
);

export const backendTlsPolicy: CustomKind = gatewayKind(kinds.BackendTLSPolicy, {
  shortNames: ['btlspolicy'],
  labels: directPolicy,
  versions: [
    { name: 'v1', storage: true, schema, columns: [age] },
    deprecated('BackendTLSPolicy', { name: 'v1alpha3', schema, columns: [] }),
  ],
});

function eachTargetOnce(): ValidationRule[] {
  const sameObject = 'p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name';
  const unset = (target: string) => `(!has(${target}.sectionName) || ${target}.sectionName == '')`;
  const sameSection = 'has(p1.sectionName) && has(p2.sectionName) && p1.sectionName == p2.sectionName';
  return [
    rule(
      'sectionName must be specified when targetRefs includes 2 or more references to the same target',
      `self.all(p1, self.all(p2, ${sameObject} ? (${unset('p1')} == ${unset('p2')}) : true))`,
    ),
    rule(
      'sectionName must be unique when targetRefs includes 2 or more references to the same target',
      `self.all(p1, self.exists_one(p2, ${sameObject} && ((${unset('p1')} && ${unset('p2')}) || (${sameSection}))))`,
    ),
  ];
}
