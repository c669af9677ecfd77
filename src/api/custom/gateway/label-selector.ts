/** `metav1.LabelSelector`, as custom kinds state it. */
import type { JsonSchema } from '../../schema/schema.ts';
import { listOf, object, text } from './shape.ts';

export function labelSelector(description: string): JsonSchema {
  return {
    ...object(description, {
      matchLabels: {
        type: 'object',
        description: 'Labels that must be there with these values.',
        additionalProperties: { type: 'string' },
      },
      matchExpressions: listOf(
        'Further demands, all of which must hold.',
        object(
          'A demand on one label.',
          {
            key: text('The label.'),
            operator: text('In, NotIn, Exists or DoesNotExist.'),
            values: listOf('Values for In and NotIn.', { type: 'string' }),
          },
          'key',
          'operator',
        ),
      ),
    }),
    'x-kubernetes-map-type': 'atomic',
  };
}
