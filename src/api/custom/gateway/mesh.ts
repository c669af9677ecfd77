/** XMesh: a mesh, and the controller that serves it. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { pendingConditions, pendingStatus } from './conditions.ts';
import { accepted, age, gatewayKind, kindSchema } from './definition.ts';
import { immutableController, supportedFeatures } from './gateway-class.ts';
import { parametersReference } from './references.ts';
import { object, text } from './shape.ts';

const schema: JsonSchema = kindSchema(
  'A mesh that serves routes between workloads.',
  object(
    'What the mesh is.',
    {
      controllerName: immutableController,
      description: text('What the mesh is for, in words.', { max: 64 }),
      parametersRef: parametersReference('An object that configures the mesh, of a kind that the controller knows.'),
    },
    'controllerName',
  ),
  pendingStatus(
    object('What became of the mesh.', {
      conditions: pendingConditions('Whether the controller has accepted the mesh.', 'Accepted', 'Programmed'),
      supportedFeatures,
    }),
    'Accepted',
  ),
);

export const mesh: CustomKind = gatewayKind(kinds.XMesh, {
  shortNames: ['mesh'],
  versions: [{ name: 'v1alpha1', storage: true, schema, columns: [accepted, age] }],
});
