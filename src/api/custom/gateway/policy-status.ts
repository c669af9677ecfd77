/** Status of a policy: what became of it at each ancestor (GEP-713). */
import type { JsonSchema } from '../../schema/schema.ts';
import { conditions } from './conditions.ts';
import { controllerName } from './names.ts';
import { parentReference } from './parents.ts';
import { listOf, object } from './shape.ts';

export const policyStatus: JsonSchema = object(
  'What became of the policy.',
  {
    ancestors: listOf(
      'One entry for each object through which the policy takes effect, written by the controller that serves it.',
      object(
        'What one controller says of one ancestor.',
        {
          ancestorRef: parentReference('The ancestor: a Gateway, mostly, or the target itself.'),
          controllerName: controllerName('The controller that wrote the entry.'),
          conditions: conditions('Whether the policy is accepted there.', { min: 1, max: 8 }),
        },
        'ancestorRef',
        'conditions',
        'controllerName',
      ),
      { max: 16 },
    ),
  },
  'ancestors',
);
