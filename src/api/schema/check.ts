/** Checking a value against a structural schema: types, required fields, enums, ranges; and finding unknown fields. */
import { invalid, notSupported, required, typeInvalid, type FieldError } from '../field-error.ts';
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

/** Every violation, with its path. Unknown fields are not violations: see `unknownFields`. */
export function checkSchema(value: unknown, schema: JsonSchema, path = ''): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, path, errors);
  return errors;
}

/** Paths of the fields that the schema does not know. */
export function unknownFields(value: unknown, schema: JsonSchema, path = ''): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((item, i) => unknownFields(item, items, `${path}[${i}]`)) : [];
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const next = known ?? schema.additionalProperties;
    if (next) return unknownFields(item, next, known ? join(path, name) : `${path}[${name}]`);
    return schema['x-kubernetes-preserve-unknown-fields'] || schema.type !== 'object' ? [] : [join(path, name)];
  });
}

function check(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  if (schema['x-kubernetes-int-or-string']) {
    if (typeof value !== 'string' && typeof value !== 'number') errors.push(mistyped(path, value, 'integer or string'));
    return;
  }
  switch (schema.type) {
    case 'object':
      if (!isRecord(value)) errors.push(mistyped(path, value, 'object'));
      else checkObject(value, schema, path, errors);
      break;
    case 'array':
      if (!Array.isArray(value)) errors.push(mistyped(path, value, 'array'));
      else if (schema.items) {
        for (const [i, item] of value.entries()) check(item, schema.items, `${path}[${i}]`, errors);
      }
      break;
    case 'string':
      if (typeof value !== 'string') errors.push(mistyped(path, value, 'string'));
      else if (schema.enum && !schema.enum.includes(value)) errors.push(notSupported(path, value, schema.enum.map(String)));
      break;
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || (schema.type === 'integer' && !Number.isSafeInteger(value))) {
        errors.push(mistyped(path, value, schema.type));
      } else checkRange(value, schema, path, errors);
      break;
    case 'boolean':
      if (typeof value !== 'boolean') errors.push(mistyped(path, value, 'boolean'));
      break;
    case undefined:
      break;
  }
}

function checkObject(value: Record<string, unknown>, schema: JsonSchema, path: string, errors: FieldError[]): void {
  for (const name of schema.required ?? []) {
    if (value[name] === undefined || value[name] === null) errors.push(required(join(path, name)));
  }
  for (const [name, item] of Object.entries(value)) {
    // As the API server does, null means absent.
    if (item === undefined || item === null) continue;
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (known) check(item, known, join(path, name), errors);
    else if (schema.additionalProperties) check(item, schema.additionalProperties, `${path}[${name}]`, errors);
  }
}

function checkRange(value: number, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  if (value < minimum) errors.push(invalid(path, value, `must be greater than or equal to ${minimum}`));
  if (value > maximum) errors.push(invalid(path, value, `must be less than or equal to ${maximum}`));
}

function mistyped(path: string, value: unknown, wanted: string): FieldError {
  const got = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  return typeInvalid(path, got, `${path} in body must be of type ${wanted}: "${got}"`);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
