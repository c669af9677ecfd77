/** Structural schemas as data (OpenAPI v3 with Kubernetes' extensions), and the few functions that write them briefly. */

/** One CEL rule over `self` (and `oldSelf`, on update): apiextensions.k8s.io/v1 `ValidationRule`. */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  /** CEL, gives the message; wins over `message`. */
  readonly messageExpression?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
  /** JSON path below the schema's own place, `.spec.x` or `.x`. */
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** apiextensions.k8s.io/v1 `JSONSchemaProps`, as much of it as structural schemas may use. */
export interface JsonSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly title?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema;
  readonly enum?: readonly (string | number | boolean)[];
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  /** In Unicode code points. */
  readonly minLength?: number;
  readonly maxLength?: number;
  /** RE2, not anchored. */
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-embedded-resource'?: true;
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: 'merge' | 'retainKeys' | 'merge,retainKeys';
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}

type Fields = Readonly<Record<string, JsonSchema>>;

export const text: JsonSchema = { type: 'string' };
export const integer: JsonSchema = { type: 'integer', format: 'int32' };
export const long: JsonSchema = { type: 'integer', format: 'int64' };
export const flag: JsonSchema = { type: 'boolean' };
export const time: JsonSchema = { type: 'string', format: 'date-time', nullable: true };
export const portOrName: JsonSchema = { 'x-kubernetes-int-or-string': true };
export const quantity: JsonSchema = { 'x-kubernetes-int-or-string': true };
/** An object whose fields are not ours to know. */
export const open: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
export const textMap: JsonSchema = { type: 'object', additionalProperties: text };

/** An object of known fields; `required` are those that must be there. */
export function record(properties: Fields, ...required: string[]): JsonSchema {
  return { type: 'object', properties, ...(required.length > 0 && { required }) };
}

/** Like `record`, but fields that it does not name are kept. */
export function openRecord(properties: Fields, ...required: string[]): JsonSchema {
  return { ...record(properties, ...required), 'x-kubernetes-preserve-unknown-fields': true };
}

/** A list that a patch replaces as a whole. */
export function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'atomic' };
}

/** A list whose items a strategic merge patch matches by `key`; `mapKeys` are those of server-side apply, where they differ. */
export function keyedList(items: JsonSchema, key: string, mapKeys: readonly string[] = [key]): JsonSchema {
  return {
    type: 'array',
    items,
    'x-kubernetes-patch-merge-key': key,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': mapKeys,
  };
}

/** A list of scalars that a strategic merge patch adds to. */
export function setList(items: JsonSchema): JsonSchema {
  return { type: 'array', items, 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-list-type': 'set' };
}

export function mapOf(values: JsonSchema): JsonSchema {
  return { type: 'object', additionalProperties: values };
}

export function oneOf(...values: string[]): JsonSchema {
  return { type: 'string', enum: values };
}

/** A map that server-side apply takes as one value. */
export function atomic(schema: JsonSchema): JsonSchema {
  return { ...schema, 'x-kubernetes-map-type': 'atomic' };
}

/** A union whose other members are dropped when a patch names one (`$retainKeys`). */
export function retainKeys(schema: JsonSchema): JsonSchema {
  return {
    ...schema,
    'x-kubernetes-patch-strategy':
      schema['x-kubernetes-patch-strategy'] === 'merge' ? 'merge,retainKeys' : 'retainKeys',
  };
}
