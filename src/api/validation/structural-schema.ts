/**
 * Whether the schema of a CustomResourceDefinition is structural, and its rules compile: the refusals of
 * `apiextensions-apiserver/pkg/apis/apiextensions/validation` and `pkg/apiserver/schema`, with their paths and words.
 */
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import { isRecord } from '../field-view.ts';
import { schemaErrors } from '../custom/check-object.ts';
import { rulesOf } from '../schema/cel/rules.ts';
import { withRootFields } from '../schema/cel/values.ts';
import { sameJson } from '../schema/json-equal.ts';
import { compilePattern } from '../schema/pattern.ts';
import { unknownFields } from '../schema/prune.ts';
import type { JsonSchema, ValidationRule } from '../schema/schema.ts';

type Level = 'root' | 'field' | 'item';
type Raw = Readonly<Record<string, unknown>>;

/** Deeper ones are nobody's structure, and walking them is recursion. */
const maxDepth = 64;

/** All problems of an `openAPIV3Schema`, of which only the JSON is known. */
export function validateStructuralSchema(value: unknown, path: string): FieldError[] {
  if (!isRecord(value)) return [];
  const errors: FieldError[] = [];
  structural(value, path, 'root', errors, 0);
  // Rules are compiled against a schema that holds together.
  if (errors.length === 0) checkRuleTexts(value as JsonSchema, path, true, errors);
  if (errors.length === 0) checkDefaults(value as JsonSchema, path, errors);
  return errors;
}

function structural(schema: Raw, path: string, level: Level, errors: FieldError[], depth: number): void {
  if (depth > maxDepth) {
    errors.push(invalid(path, '', `must not nest deeper than ${maxDepth}`));
    return;
  }
  const inner = (value: unknown, at: string, next: Level): void => {
    if (isRecord(value)) structural(value, at, next, errors, depth + 1);
  };
  checkType(schema, path, level, errors);
  for (const name of unsupported) {
    if (schema[name] !== undefined) errors.push(forbidden(`${path}.${name}`, `${name} is not supported`));
  }
  if (schema['uniqueItems'] === true) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
    errors.push(forbidden(`${path}.uniqueItems`, why));
  }
  checkExtensions(schema, path, errors);
  checkValues(schema, path, level, errors, depth);
  const { items, properties, additionalProperties } = schema;
  if (Array.isArray(items)) errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  else inner(items, `${path}.items`, 'item');
  if (isRecord(properties)) {
    for (const [name, field] of Object.entries(properties)) {
      if (level === 'root' && name === 'metadata') checkRootMetadata(field, `${path}.properties[metadata]`, errors);
      else inner(field, `${path}.properties[${name}]`, 'field');
    }
  }
  if (additionalProperties !== undefined) {
    const at = `${path}.additionalProperties`;
    if (level === 'root') errors.push(forbidden(at, 'must not be used at the root'));
    if (additionalProperties === false) errors.push(forbidden(at, 'additionalProperties cannot be set to false'));
    if (isRecord(properties) && Object.keys(properties).length > 0) {
      errors.push(forbidden(at, 'additionalProperties and properties are mutual exclusive'));
    }
    inner(additionalProperties, at, 'field');
  }
}

const unsupported = ['additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref', 'id'];
const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const emptyType: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

function checkType(schema: Raw, path: string, level: Level, errors: FieldError[]): void {
  const { type, nullable } = schema;
  const at = `${path}.type`;
  const isOpen =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema['x-kubernetes-embedded-resource'] === true && type !== 'object') {
    const why = 'must be object if x-kubernetes-embedded-resource is true';
    errors.push(type === undefined ? required(at, why) : invalid(at, type, why));
  } else if (type === undefined || type === '') {
    if (!isOpen) errors.push(required(at, emptyType[level]));
  } else if (typeof type !== 'string' || !types.includes(type)) {
    errors.push(notSupported(at, type, types));
  }
  if (level === 'root' && typeof type === 'string' && type !== 'object' && types.includes(type)) {
    errors.push(invalid(at, type, 'must be object at the root'));
  }
  if (level === 'root' && nullable === true)
    errors.push(forbidden(`${path}.nullable`, 'nullable cannot be true at the root'));
  if (type === 'array' && schema['items'] === undefined) errors.push(required(`${path}.items`, 'must be specified'));
}

function checkRootMetadata(value: unknown, path: string, errors: FieldError[]): void {
  if (!isRecord(value)) return;
  if (value['type'] !== 'object') errors.push(invalid(`${path}.type`, value['type'] ?? '', 'must be object'));
  const { properties = {}, type: _, description: __, ...rest } = value;
  const named = isRecord(properties) ? Object.keys(properties) : [];
  if (Object.keys(rest).length === 0 && named.every((name) => name === 'name' || name === 'generateName')) return;
  const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
  errors.push(forbidden(path, why));
}

function checkExtensions(schema: Raw, path: string, errors: FieldError[]): void {
  const { type, items, properties } = schema;
  const preserves = schema['x-kubernetes-preserve-unknown-fields'];
  if (preserves !== undefined && preserves !== true) {
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, preserves, 'must be true or undefined'));
  }
  if (schema['x-kubernetes-int-or-string'] === true && preserves === true) {
    const why = 'must be false if x-kubernetes-int-or-string is true';
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, true, why));
  }
  const hasFields = isRecord(properties) && Object.keys(properties).length > 0;
  if (schema['x-kubernetes-embedded-resource'] === true && preserves !== true && !hasFields) {
    const why =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    errors.push(required(`${path}.properties`, why));
  }
  const mapType = schema['x-kubernetes-map-type'];
  if (mapType !== undefined) {
    if (type !== 'object') {
      errors.push(wrongType(path, type, 'must be object if x-kubernetes-map-type is specified'));
    }
    if (mapType !== 'atomic' && mapType !== 'granular') {
      errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
    }
  }
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'];
  const hasKeys = Array.isArray(keys) && keys.length > 0;
  if (listType !== undefined && type !== 'array') {
    errors.push(wrongType(path, type, 'must be array if x-kubernetes-list-type is specified'));
  }
  if (listType !== undefined && !(['atomic', 'set', 'map'] as unknown[]).includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  }
  if (hasKeys && listType !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, why) : invalid(at, listType, why));
  }
  const item = isRecord(items) ? items : {};
  if (listType === 'set') checkSetItems(item, path, errors);
  if (listType === 'map') checkMapItems(item, hasKeys ? (keys as unknown[]) : [], path, errors);
}

function checkSetItems(item: Raw, path: string, errors: FieldError[]): void {
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  if (item['type'] === 'array' && item['x-kubernetes-list-type'] !== 'atomic') {
    errors.push(invalid(`${path}.items.x-kubernetes-list-type`, item['x-kubernetes-list-type'] ?? null, why));
  }
  if (item['type'] === 'object' && item['x-kubernetes-map-type'] !== 'atomic') {
    errors.push(invalid(`${path}.items.x-kubernetes-map-type`, item['x-kubernetes-map-type'] ?? null, why));
  }
  if (item['nullable'] === true) {
    errors.push(forbidden(`${path}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  }
}

function checkMapItems(item: Raw, keys: readonly unknown[], path: string, errors: FieldError[]): void {
  if (keys.length === 0) {
    const why = 'must not be empty if x-kubernetes-list-type is map';
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, why));
  }
  if (item['type'] !== undefined && item['type'] !== 'object') {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    errors.push(invalid(`${path}.items.type`, item['type'], why));
  }
  const fields = isRecord(item['properties']) ? item['properties'] : {};
  const mandatory = Array.isArray(item['required']) ? item['required'] : [];
  if (keys.some((key) => !Object.hasOwn(fields, String(key)))) {
    errors.push(invalid(`${path}.x-kubernetes-list-map-keys`, keys, 'entries must all be names of item properties'));
  }
  if (new Set(keys).size !== keys.length) {
    errors.push(invalid(`${path}.x-kubernetes-list-map-keys`, keys, 'must not contain duplicate entries'));
  }
  for (const key of keys) {
    const field = fields[String(key)];
    if (!isRecord(field)) continue;
    const at = `${path}.items.properties[${String(key)}]`;
    if (field['type'] === 'object' || field['type'] === 'array') {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      errors.push(invalid(`${at}.type`, field['type'], why));
    }
    if (field['default'] === undefined && !mandatory.includes(key)) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      errors.push(required(`${at}.default`, why));
    }
  }
}

/** Patterns, and what stands under `anyOf` and its like: only restrictions of what is described outside of them. */
function checkValues(schema: Raw, path: string, level: Level, errors: FieldError[], depth: number): void {
  const { pattern } = schema;
  if (typeof pattern === 'string') checkPattern(pattern, `${path}.pattern`, errors);
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true && sameJson(schema['anyOf'], intOrString);
  for (const junctor of ['anyOf', 'allOf', 'oneOf']) {
    const parts = schema[junctor];
    if (!Array.isArray(parts) || (junctor === 'anyOf' && isIntOrString)) continue;
    for (const [i, part] of parts.entries()) {
      if (isRecord(part)) nested(part, schema, `${path}.${junctor}[${i}]`, path, errors, depth + 1);
    }
  }
  if (isRecord(schema['not'])) nested(schema['not'], schema, `${path}.not`, path, errors, depth + 1);
}

const intOrString = [{ type: 'integer' }, { type: 'string' }];

const structuralOnly: readonly [name: string, why: string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
];

/** `spine` is what the schema says of the same value outside of the junctor; `at` is its path. */
function nested(part: Raw, spine: Raw, path: string, at: string, errors: FieldError[], depth: number): void {
  if (depth > maxDepth) return;
  const isIntOrString = spine['x-kubernetes-int-or-string'] === true && sameJson(part['anyOf'], intOrString);
  for (const [name, why] of structuralOnly) {
    const value = part[name];
    if (value !== undefined && value !== false && value !== '') errors.push(forbidden(`${path}.${name}`, why));
  }
  if (typeof part['pattern'] === 'string') checkPattern(part['pattern'], `${path}.pattern`, errors);
  for (const junctor of ['anyOf', 'allOf', 'oneOf']) {
    const parts = part[junctor];
    if (!Array.isArray(parts) || (junctor === 'anyOf' && isIntOrString)) continue;
    for (const [i, each] of parts.entries()) {
      if (isRecord(each)) nested(each, spine, `${path}.${junctor}[${i}]`, at, errors, depth + 1);
    }
  }
  if (isRecord(part['not'])) nested(part['not'], spine, `${path}.not`, at, errors, depth + 1);
  const describe = (value: unknown, field: unknown, name: string): void => {
    if (!isRecord(value)) return;
    if (isRecord(field)) nested(value, field, `${path}.${name}`, `${at}.${name}`, errors, depth + 1);
    else errors.push(required(`${at}.${name}`, `because it is defined in ${path}.${name}`));
  };
  describe(part['items'], spine['items'], 'items');
  const fields = isRecord(spine['properties']) ? spine['properties'] : {};
  for (const [name, value] of Object.entries(isRecord(part['properties']) ? part['properties'] : {})) {
    if (name === 'metadata')
      errors.push(forbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'));
    describe(value, Object.hasOwn(fields, name) ? fields[name] : undefined, `properties[${name}]`);
  }
}

function checkPattern(pattern: string, path: string, errors: FieldError[]): void {
  try {
    compilePattern(pattern);
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    errors.push(invalid(path, pattern, `must be a valid regular expression, but isn't: ${why}`));
  }
}

/** The texts around the rules, then the rules themselves. */
function checkRuleTexts(schema: JsonSchema, path: string, isRoot: boolean, errors: FieldError[]): void {
  const rules = schema['x-kubernetes-validations'];
  if (Array.isArray(rules)) {
    const self = isRoot || schema['x-kubernetes-embedded-resource'] ? withRootFields(schema) : schema;
    const before = errors.length;
    for (const [i, rule] of rules.entries())
      checkRuleFields(rule as ValidationRule, `${path}.x-kubernetes-validations[${i}]`, errors);
    if (errors.length === before) {
      for (const [i, { rule, errors: broken }] of rulesOf(schema, self).entries()) {
        for (const { field, detail } of broken) {
          errors.push(invalid(`${path}.x-kubernetes-validations[${i}].${field}`, rule[field], detail));
        }
      }
    }
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    checkRuleTexts(field, `${path}.properties[${name}]`, false, errors);
  }
  if (schema.items) checkRuleTexts(schema.items, `${path}.items`, false, errors);
  if (isRecord(schema.additionalProperties)) {
    checkRuleTexts(schema.additionalProperties, `${path}.additionalProperties`, false, errors);
  }
}

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

function checkRuleFields(rule: ValidationRule, path: string, errors: FieldError[]): void {
  const { rule: text, message, messageExpression, reason, fieldPath } = rule;
  if (typeof text !== 'string' || text.trim() === '') errors.push(required(`${path}.rule`, 'rule is not specified'));
  else if (text.trim().includes('\n') && (message ?? '') === '') {
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'));
  }
  if (message !== undefined && message !== '' && message.trim() === '') {
    errors.push(invalid(`${path}.message`, message, 'must be non-empty if specified'));
  } else if (message?.trim().includes('\n')) {
    errors.push(invalid(`${path}.message`, message, 'must not contain line breaks'));
  }
  if (messageExpression !== undefined && messageExpression !== '' && messageExpression.trim() === '') {
    errors.push(required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'));
  }
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, reasons));
  if (fieldPath !== undefined && fieldPath !== '' && !/^(?:\.[^.[\]]+|\['(?:[^'\\]|\\.)+'\])+$/.test(fieldPath)) {
    errors.push(invalid(`${path}.fieldPath`, fieldPath, 'must be a valid path'));
  }
}

/** Defaults obey the schema that they are in. */
function checkDefaults(schema: JsonSchema, path: string, errors: FieldError[]): void {
  if (schema.default !== undefined) {
    const at = `${path}.default`;
    errors.push(...schemaErrors(schema.default, schema).map((error) => ({ ...error, path: joined(at, error.path) })));
    for (const field of unknownFields(schema.default, schema)) {
      errors.push(invalid(joined(at, field), schema.default, 'must not have unknown fields'));
    }
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    checkDefaults(field, `${path}.properties[${name}]`, errors);
  }
  if (schema.items) checkDefaults(schema.items, `${path}.items`, errors);
  if (isRecord(schema.additionalProperties)) {
    checkDefaults(schema.additionalProperties, `${path}.additionalProperties`, errors);
  }
}

function joined(path: string, below: string): string {
  return below === '' || below === '<nil>' ? path : below.startsWith('[') ? `${path}${below}` : `${path}.${below}`;
}

function wrongType(path: string, type: unknown, why: string): FieldError {
  return type === undefined ? required(`${path}.type`, why) : invalid(`${path}.type`, type, why);
}
