/** GatewayClass: a kind of gateway, and the controller that serves it. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind, PrinterColumn } from '../custom-kind.ts';
import { pendingConditions, pendingStatus } from './conditions.ts';
import { accepted, age, gatewayKind, kindSchema } from './definition.ts';
import { controllerName } from './names.ts';
import { parametersReference } from './references.ts';
import { mapOf, object, rule, text, withRules } from './shape.ts';

/** Whoever serves a class or a mesh is chosen once. */
export const immutableController: JsonSchema = withRules(
  controllerName('The controller that serves it, as domain/path; it cannot be changed.'),
  rule('Value is immutable', 'self == oldSelf'),
);

export const supportedFeatures: JsonSchema = mapOf(
  'Features that the controller supports, by their names in the conformance suite.',
  ['name'],
  object('A feature.', { name: text('Its name.') }, 'name'),
  { max: 64 },
);

const spec: JsonSchema = object(
  'What the class is.',
  {
    controllerName: immutableController,
    description: text('What the class is for, in words.', { max: 64 }),
    parametersRef: parametersReference(
      'An object that configures all gateways of the class, of a kind that the controller knows.',
    ),
  },
  'controllerName',
);

const status: JsonSchema = pendingStatus(
  object('What became of the class.', {
    conditions: pendingConditions('Whether the controller has accepted the class.', 'Accepted'),
    supportedFeatures,
  }),
  'Accepted',
);

const schema: JsonSchema = kindSchema(
  'A class of gateways: names the controller that serves every Gateway of the class.',
  spec,
  status,
);

const columns: readonly PrinterColumn[] = [
  { name: 'Controller', type: 'string', jsonPath: '.spec.controllerName' },
  accepted,
  age,
  { name: 'Description', type: 'string', jsonPath: '.spec.description', priority: 1 },
];

export const gatewayClass: CustomKind = gatewayKind(kinds.GatewayClass, {
  shortNames: ['gc'],
  versions: [
    { name: 'v1', storage: true, schema, columns },
    { name: 'v1beta1', schema, columns },
  ],
});
