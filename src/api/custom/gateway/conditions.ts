/** Conditions in status, and those that stand there until a controller comes. */
import type { JsonSchema } from '../../schema/schema.ts';
import { dnsSubdomain } from './names.ts';
import { choice, mapOf, object, text, withDefault } from './shape.ts';

/** `metav1.Condition` */
const condition: JsonSchema = object(
  'One aspect of the state, and whether it holds.',
  {
    type: {
      ...text('The aspect, in CamelCase or as domain/CamelCase.', { max: 316 }),
      pattern: String.raw`^(${dnsSubdomain}/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$`,
    },
    status: choice('Whether it holds.', 'True', 'False', 'Unknown'),
    reason: {
      ...text('Why, as one word for programs.', { min: 1, max: 1024 }),
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    },
    message: text('Why, in words for people.', { max: 32_768 }),
    lastTransitionTime: { ...text('When status last changed its value.'), format: 'date-time' },
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'The generation of the object that this was said of.',
    },
  },
  'lastTransitionTime',
  'message',
  'reason',
  'status',
  'type',
);

/** At most 8 conditions, one a type. */
export function conditions(
  description: string,
  bounds: { readonly min?: number; readonly max?: number } = { max: 8 },
): JsonSchema {
  return mapOf(description, ['type'], condition, bounds);
}

/** Conditions that say, of an object that no controller has seen yet, that all of `types` are unknown. */
export function pendingConditions(description: string, ...types: readonly string[]): JsonSchema {
  return withDefault(conditions(description), pending(types));
}

/** The status of an object that no controller has seen yet. */
export function pendingStatus(schema: JsonSchema, ...types: readonly string[]): JsonSchema {
  return withDefault(schema, { conditions: pending(types) });
}

function pending(types: readonly string[]): object[] {
  return types.map((type) => ({
    type,
    status: 'Unknown',
    reason: 'Pending',
    message: 'Waiting for controller',
    lastTransitionTime: '1970-01-01T00:00:00Z',
  }));
}
