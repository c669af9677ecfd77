/** The words in which the schemas of Istio's kinds are written. */
import { text, type JsonSchema } from '../../schema/schema.ts';

/** The schema with a sentence for `kubectl explain`. */
export function about(description: string, schema: JsonSchema): JsonSchema {
  return { ...schema, description };
}

/** The schema with one more CEL rule. */
export function ruled(schema: JsonSchema, rule: string, message: string): JsonSchema {
  const rules = schema['x-kubernetes-validations'] ?? [];
  return { ...schema, 'x-kubernetes-validations': [...rules, { rule, message }] };
}

/** At most one of the fields may be there: the form that a protobuf oneof has in a structural schema. */
export function atMostOne(...names: string[]): JsonSchema {
  const each = names.map((name) => ({ required: [name] }));
  return { oneOf: [{ not: { anyOf: each } }, ...each] };
}

/** The same rule in CEL, where its message is better than that of a oneOf. */
export function ruledAtMostOne(schema: JsonSchema, ...names: string[]): JsonSchema {
  const count = names.map((name) => `(has(self.${name}) ? 1 : 0)`).join(' + ');
  return ruled(schema, `${count} <= 1`, `only one of ${names.join(', ')} can be set`);
}

/** A wrapper type in protobuf: null is a value, and means that nothing is said. */
export function nullable(schema: JsonSchema): JsonSchema {
  return { ...schema, nullable: true };
}

/** A list whose items are told apart by one of their fields. */
export function listBy(key: string, items: JsonSchema): JsonSchema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] };
}

export const filledText: JsonSchema = { type: 'string', minLength: 1 };
export const double: JsonSchema = { type: 'number', format: 'double' };
export const percent: JsonSchema = { type: 'number', format: 'double', minimum: 0, maximum: 100, nullable: true };
/** uint32 */
export const unsigned: JsonSchema = { type: 'integer', minimum: 0, maximum: 4_294_967_295 };
/** A uint32 that a server refuses at once when it is no port. */
export const strictPort: JsonSchema = ruled(unsigned, '0 < self && self <= 65535', 'port must be between 1-65535');
/** `1h`, `1m30s`, `250ms` */
export const duration: JsonSchema = ruled(
  text,
  "duration(self) >= duration('1ms')",
  'must be a duration of at least 1ms, like 5s or 250ms',
);
