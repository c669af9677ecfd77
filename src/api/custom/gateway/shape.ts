/** How the schemas of this folder are written: each field with a sentence, lists with their bounds, rules in CEL. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';

type Fields = Readonly<Record<string, JsonSchema>>;

/** How many items a list, or characters a text, may have. */
interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export function text(description: string, { min, max }: Bounds = {}): JsonSchema {
  return {
    type: 'string',
    description,
    ...(min !== undefined && { minLength: min }),
    ...(max !== undefined && { maxLength: max }),
  };
}

/** A text of few values. */
export function choice(description: string, ...values: readonly string[]): JsonSchema {
  return { type: 'string', description, enum: values };
}

/** A number of 32 bits. */
export function count(description: string, { min, max }: Bounds = {}): JsonSchema {
  return {
    type: 'integer',
    format: 'int32',
    description,
    ...(min !== undefined && { minimum: min }),
    ...(max !== undefined && { maximum: max }),
  };
}

/** An object of known fields; `required` are those that must be there. */
export function object(description: string, properties: Fields, ...required: readonly string[]): JsonSchema {
  return { type: 'object', description, properties, ...(required.length > 0 && { required }) };
}

/** Text values under free keys. */
export function textMap(description: string, maxEntries: number, value: JsonSchema): JsonSchema {
  return { type: 'object', description, maxProperties: maxEntries, additionalProperties: value };
}

/** A list that is applied as a whole. */
export function listOf(description: string, items: JsonSchema, bounds: Bounds = {}): JsonSchema {
  return { ...array(description, items, bounds), 'x-kubernetes-list-type': 'atomic' };
}

/** A list in which no value comes twice. */
export function setOf(description: string, items: JsonSchema, bounds: Bounds = {}): JsonSchema {
  return { ...array(description, items, bounds), 'x-kubernetes-list-type': 'set' };
}

/** A list whose items are told apart, and applied one by one, by the fields `keys`. */
export function mapOf(
  description: string,
  keys: readonly string[],
  items: JsonSchema,
  bounds: Bounds = {},
): JsonSchema {
  return {
    ...array(description, items, bounds),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
  };
}

/** `expression` holds, or `message` is the error. */
export function rule(message: string, expression: string): ValidationRule {
  return { message, rule: expression };
}

export function withRules(schema: JsonSchema, ...rules: readonly ValidationRule[]): JsonSchema {
  return { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), ...rules] };
}

export function withDefault(schema: JsonSchema, value: unknown): JsonSchema {
  return { ...schema, default: value };
}

function array(description: string, items: JsonSchema, { min, max }: Bounds): JsonSchema {
  return {
    type: 'array',
    description,
    items,
    ...(min !== undefined && { minItems: min }),
    ...(max !== undefined && { maxItems: max }),
  };
}
