/**
 * Schemas made into functions, each once and when first needed: types, required fields, enums, bounds, formats, patterns and
 * combinations, with the paths and words of kube-apiserver (`kube-openapi/pkg/validation`). CEL rules: see `cel/`.
 */
import { invalid, notSupported, required, tooLong, typeInvalid, type FieldError } from '../field-error.ts';
import { isRecord } from '../field-view.ts';
import { closestOf } from './closest.ts';
import { correlate } from './correlate.ts';
import { formatCheck } from './formats.ts';
import { sameJson } from './json-equal.ts';
import { compilePattern } from './pattern.ts';
import type { JsonSchema } from './schema.ts';

/** Adds what is wrong with `value`. `old` is the stored value of the same field: what is unchanged is not judged again. */
type Check = (value: unknown, path: string, errors: FieldError[], old: unknown) => void;

const compiled = new WeakMap<JsonSchema, Check>();

/**
 * Every violation but those of CEL rules, with its path. Unknown fields are no violations: see `unknownFields`. With `old`,
 * parts that are as they were stay accepted, though the schema has become stricter (CRDValidationRatcheting).
 */
export function checkSchema(value: unknown, schema: JsonSchema, path = '', old?: unknown): FieldError[] {
  const errors: FieldError[] = [];
  checkOf(schema)(value, path, errors, old);
  return errors;
}

function checkOf(schema: JsonSchema): Check {
  let check = compiled.get(schema);
  if (!check) {
    check = compile(schema);
    compiled.set(schema, check);
  }
  return check;
}

function compile(schema: JsonSchema): Check {
  const checks: Check[] = [];
  const types = schema['x-kubernetes-int-or-string']
    ? ['integer', 'string']
    : schema.type === undefined
      ? []
      : [schema.type];
  if (types.length > 0) checks.push(typeCheck(types, schema.nullable === true));
  const { enum: allowed } = schema;
  if (allowed) checks.push(enumCheck(allowed));
  checks.push(...textChecks(schema), ...numberChecks(schema), ...listChecks(schema), ...objectChecks(schema));
  const inner = combinationCheck(schema);
  if (inner) checks.push(inner);
  const [first] = checks;
  if (!first) return () => {};
  return (value, path, errors, old) => {
    if (old !== undefined && sameJson(value, old)) return;
    first(value, path, errors, old);
    // Null has nothing to look at. What has the wrong type is still asked for all that its own type can break.
    if (value === null) return;
    for (let i = 1; i < checks.length; i++) checks[i]?.(value, path, errors, old);
  };
}

function typeCheck(types: readonly string[], nullable: boolean): Check {
  const wanted = types.join(',');
  return (value, path, errors) => {
    const type = typeOf(value);
    if (type === 'null' ? nullable : types.includes(type) || (type === 'integer' && types.includes('number'))) return;
    errors.push(typeInvalid(path, type, `${bodyPath(path)} must be of type ${wanted}: ${JSON.stringify(type)}`));
  };
}

/** The JSON type, where a whole number in the safe range is an `integer`. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function enumCheck(allowed: readonly unknown[]): Check {
  const scalars = new Set(allowed);
  const names = allowed.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
  return (value, path, errors) => {
    if (scalars.has(value) || allowed.some((item) => sameJson(item, value))) return;
    errors.push(notSupported(path, value, names));
  };
}

function textChecks(schema: JsonSchema): Check[] {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  const checks: Check[] = [];
  const onText = (check: (text: string, path: string, errors: FieldError[]) => void): void => {
    checks.push((value, path, errors) => {
      if (typeof value === 'string') check(value, path, errors);
    });
  };
  const matches = pattern === undefined ? undefined : (text: string) => compilePattern(pattern)(text);
  if (maxLength !== Infinity || minLength > 0 || matches) {
    // The first violation alone is told.
    onText((text, path, errors) => {
      // Units outnumber characters: most texts need no counting.
      if (text.length > maxLength && characters(text) > maxLength) errors.push(tooLong(path, maxLength));
      else if (text.length < minLength * 2 && characters(text) < minLength) {
        errors.push(invalid(path, text, `${bodyPath(path)} should be at least ${minLength} chars long`));
      } else if (matches && !matches(text)) {
        errors.push(invalid(path, text, `${bodyPath(path)} should match '${pattern}'`));
      }
    });
  }
  // Alternatives have no type of their own: `anyOf: [{format: ipv4}, {format: ipv6}]`.
  const isForText = schema.type === undefined || schema.type === 'string';
  const isFormatted = format === undefined || !isForText ? undefined : formatCheck(format);
  if (isFormatted) {
    onText((text, path, errors) => {
      if (isFormatted(text)) return;
      errors.push(typeInvalid(path, text, `${bodyPath(path)} must be of type ${format}: ${JSON.stringify(text)}`));
    });
  }
  return checks;
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function numberChecks(schema: JsonSchema): Check[] {
  const { minimum, maximum, multipleOf } = schema;
  if (minimum === undefined && maximum === undefined && multipleOf === undefined) return [];
  const atLeast = schema.exclusiveMinimum ? 'greater than' : 'greater than or equal to';
  const atMost = schema.exclusiveMaximum ? 'less than' : 'less than or equal to';
  return [
    (value, path, errors) => {
      if (typeof value !== 'number') return;
      if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
        errors.push(invalid(path, value, `${bodyPath(path)} should be ${atLeast} ${minimum}`));
      }
      if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
        errors.push(invalid(path, value, `${bodyPath(path)} should be ${atMost} ${maximum}`));
      }
      if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
        errors.push(invalid(path, value, `${bodyPath(path)} should be a multiple of ${multipleOf}`));
      }
    },
  ];
}

function listChecks(schema: JsonSchema): Check[] {
  const { items, minItems = 0, maxItems = Infinity } = schema;
  if (!items && minItems === 0 && maxItems === Infinity) return [];
  return [
    (value, path, errors, old) => {
      if (!Array.isArray(value)) return;
      if (value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
      if (value.length < minItems) {
        errors.push(invalid(path, value.length, `${bodyPath(path)} should have at least ${minItems} items`));
      }
      if (items) {
        const oldItem = correlate(schema, old);
        for (let i = 0; i < value.length; i++) checkOf(items)(value[i], `${path}[${i}]`, errors, oldItem(value[i]));
      }
    },
  ];
}

function objectChecks(schema: JsonSchema): Check[] {
  const {
    properties,
    additionalProperties,
    required: names = [],
    minProperties = 0,
    maxProperties = Infinity,
  } = schema;
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  const counts = minProperties > 0 || maxProperties !== Infinity;
  if (!properties && !additionalProperties && names.length === 0 && !counts && !embedded) return [];
  return [
    (value, path, errors, old) => {
      if (!isRecord(value)) return;
      const size = counts ? Object.keys(value).length : 0;
      if (counts && size > maxProperties) errors.push(tooMany(path, size, maxProperties));
      if (counts && size < minProperties) {
        errors.push(invalid(path, size, `${bodyPath(path)} should have at least ${minProperties} properties`));
      }
      for (const name of names) {
        if (!Object.hasOwn(value, name) || value[name] === undefined) errors.push(required(child(path, name)));
      }
      if (embedded) errors.push(...embeddedIdentity(value, path));
      const before = isRecord(old) ? old : undefined;
      for (const name of Object.keys(value)) {
        const item = value[name];
        if (item === undefined) continue;
        const known = properties && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
        const was = before && Object.hasOwn(before, name) ? before[name] : undefined;
        if (known) checkOf(known)(item, child(path, name), errors, was);
      }
    },
  ];
}

/** An embedded object says what it is. */
function embeddedIdentity(value: Record<string, unknown>, path: string): FieldError[] {
  return ['apiVersion', 'kind']
    .filter((name) => value[name] === undefined || value[name] === '')
    .map((name) => required(child(path, name), 'must not be empty'));
}

function combinationCheck({ anyOf, oneOf, allOf, not }: JsonSchema): Check | undefined {
  if (!anyOf && !oneOf && !allOf && !not) return undefined;
  return (value, path, errors) => {
    const attempt = (schema: JsonSchema): FieldError[] => {
      const found: FieldError[] = [];
      checkOf(schema)(value, path, found, undefined);
      return found;
    };
    const name = JSON.stringify(path);
    if (anyOf) {
      const failures = failuresUntilSuccess(anyOf, attempt);
      if (failures)
        errors.push(
          pathless(`${name} must validate at least one schema (anyOf)`),
          ...(closestOf(value, anyOf, failures) ?? []),
        );
    }
    if (oneOf) {
      const results = oneOf.map(attempt);
      const passed = results.filter((result) => result.length === 0).length;
      if (passed !== 1) {
        const found = passed === 0 ? 'Found none valid' : `Found ${passed} valid alternatives`;
        errors.push(pathless(`${name} must validate one and only one schema (oneOf). ${found}`));
        if (passed === 0) errors.push(...(closestOf(value, oneOf, results) ?? []));
      }
    }
    if (allOf) {
      const results = allOf.map(attempt);
      const failed = results.filter((result) => result.length > 0);
      errors.push(...failed.flat());
      if (failed.length > 0) {
        const none = failed.length === allOf.length ? '. None validated' : '';
        errors.push(pathless(`${name} must validate all the schemas (allOf)${none}`));
      }
    }
    if (not && attempt(not).length === 0) errors.push(pathless(`${name} must not validate the schema (not)`));
  };
}

function failuresUntilSuccess(
  schemas: readonly JsonSchema[],
  attempt: (schema: JsonSchema) => FieldError[],
): FieldError[][] | undefined {
  const failures: FieldError[][] = [];
  for (const schema of schemas) {
    const found = attempt(schema);
    if (found.length === 0) return undefined;
    failures.push(found);
  }
  return failures;
}

/** kube-apiserver names no field for these. */
function pathless(detail: string): FieldError {
  return invalid(noPath, '', detail);
}

/** How a missing path is written (`field.Path(nil)`). */
export const noPath = '<nil>';

function tooMany(path: string, actual: number, most: number): FieldError {
  return {
    path,
    reason: 'FieldValueTooMany',
    message: `Too many: ${actual}: must have at most ${most} ${most === 1 ? 'item' : 'items'}`,
  };
}

function bodyPath(path: string): string {
  return `${path} in body`;
}

function child(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
