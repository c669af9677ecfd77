/**
 * `x-kubernetes-validations` of a schema, evaluated over an object (`apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`):
 * rules at every level, transition rules where the old value is known, messages, reasons, field paths, one budget for all.
 */
import { EvaluationError, Optional } from '@marcbachmann/cel-js';
import { duplicate, forbidden, required, type FieldError } from '../../field-error.ts';
import { isRecord } from '../../field-view.ts';
import { noPath } from '../compile.ts';
import { correlate } from '../correlate.ts';
import { sameJson } from '../json-equal.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { isBudgetSpent, openBudget } from './budget.ts';
import { compileRule, type CompiledRule } from './compile-rule.ts';
import { celConversion, withRootFields } from './values.ts';

interface Place {
  readonly value: unknown;
  readonly path: string;
  /** The stored value at the same place, where there is one to compare with. */
  readonly old: unknown;
  readonly schema: JsonSchema;
}

interface Run {
  readonly errors: FieldError[];
  readonly convert: ReturnType<typeof celConversion>;
  readonly convertOld: ReturnType<typeof celConversion>;
}

const compiledRules = new WeakMap<JsonSchema, readonly CompiledRule[]>();
const ruled = new WeakMap<JsonSchema, boolean>();

/**
 * What the rules of a whole object say. `schema` describes it with apiVersion, kind and metadata or without. The object must
 * have passed `checkSchema`. With `old`, rules that look at the new value alone are not asked again of what is unchanged.
 */
export function checkRules(object: unknown, schema: JsonSchema, old?: unknown): FieldError[] {
  if (!hasRules(schema)) return [];
  const run: Run = { errors: [], convert: celConversion(), convertOld: celConversion() };
  openBudget();
  visit({ value: object, path: '', old, schema: withRootFields(schema) }, run);
  return run.errors;
}

/** The rules of a schema itself, not of what is in it, ready to run or with what keeps them from it. */
export function rulesOf(schema: JsonSchema, self: JsonSchema = schema): readonly CompiledRule[] {
  let rules = compiledRules.get(schema);
  if (!rules) {
    rules = (schema['x-kubernetes-validations'] ?? []).map((rule) => compileRule(rule, self));
    compiledRules.set(schema, rules);
  }
  return rules;
}

/** Whether there is any rule in it, at any depth. */
export function hasRules(schema: JsonSchema): boolean {
  let known = ruled.get(schema);
  if (known === undefined) {
    const { properties = {}, items, additionalProperties } = schema;
    known =
      schema['x-kubernetes-validations'] !== undefined ||
      Object.values(properties).some(hasRules) ||
      (items !== undefined && hasRules(items)) ||
      (additionalProperties !== undefined && hasRules(additionalProperties));
    ruled.set(schema, known);
  }
  return known;
}

function visit(place: Place, run: Run): void {
  const { value, path, old, schema } = place;
  if (value === null || value === undefined || !hasRules(schema) || isBudgetSpent()) return;
  judge(place, run);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items || !hasRules(items)) return;
    const oldItem = correlate(schema, old);
    for (const [i, item] of value.entries()) {
      visit({ value: item, path: `${path}[${i}]`, old: oldItem(item), schema: items }, run);
    }
    return;
  }
  if (!isRecord(value)) return;
  const before = isRecord(old) ? old : {};
  for (const [name, item] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const next = known ?? schema.additionalProperties;
    if (!next) continue;
    const at = known ? (path === '' ? name : `${path}.${name}`) : `${path}[${name}]`;
    visit({ value: item, path: at, old: Object.hasOwn(before, name) ? before[name] : undefined, schema: next }, run);
  }
}

/** Asks the rules that the place's own schema states. */
function judge(place: Place, run: Run): void {
  if (!place.schema['x-kubernetes-validations']) return;
  const { value, path, old } = place;
  const schema = place.schema['x-kubernetes-embedded-resource'] ? withRootFields(place.schema) : place.schema;
  const type = schema.type ?? '';
  const isUnchanged = old !== undefined && sameJson(value, old);
  for (const compiled of rulesOf(place.schema, schema)) {
    const { rule, expression, message, errors } = compiled;
    const [broken] = errors;
    if (broken || !expression) {
      run.errors.push(refusal(path, type, `rule compile error: ${broken?.detail ?? ''}`));
      continue;
    }
    const { usesOldSelf } = expression;
    if (usesOldSelf ? old === undefined && !rule.optionalOldSelf : isUnchanged) continue;
    const variables = {
      self: run.convert(value, schema),
      ...(usesOldSelf && { oldSelf: oldValue(run, old, schema, rule) }),
    };
    const verdict = evaluate(() => expression.evaluate(variables));
    if (isBudgetSpent()) {
      const why =
        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule";
      run.errors.push(refusal(path, type, `${why}: ${ruleName(rule)}`));
      return;
    }
    if (verdict.kind === 'failed') {
      run.errors.push(refusal(path, type, `${verdict.message} evaluating rule: ${ruleName(rule)}`));
    } else if (verdict.value !== true) {
      const made = message && evaluate(() => message.evaluate(variables));
      const text = made?.kind === 'done' ? usableMessage(made.value) : undefined;
      run.errors.push(violation(place, rule, text ?? rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`));
    }
  }
}

function oldValue(run: Run, old: unknown, schema: JsonSchema, rule: ValidationRule): unknown {
  const value = old === undefined ? undefined : run.convertOld(old, schema);
  if (!rule.optionalOldSelf) return value;
  return value === undefined ? Optional.none() : Optional.of(value);
}

type Outcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly message: string };

function evaluate(run: () => unknown): Outcome {
  try {
    return { kind: 'done', value: run() };
  } catch (error) {
    // Also what the library did not expect, such as a stack that is too deep, is the rule's failure alone.
    if (!(error instanceof EvaluationError)) return { kind: 'failed', message: `internal error: ${String(error)}` };
    return { kind: 'failed', message: evaluationMessage(error) };
  }
}

/** Codes of the library for texts that are not what a function takes them for. */
const conversions: Readonly<Record<string, string>> = {
  invalid_duration: 'google.protobuf.Duration',
  invalid_timestamp: 'google.protobuf.Timestamp',
  int_conversion_error: 'int',
  uint_conversion_error: 'uint',
  double_conversion_error: 'double',
  bool_conversion_error: 'bool',
};

function evaluationMessage({ code, summary }: EvaluationError): string {
  const target = conversions[code];
  if (target !== undefined) return `type conversion error from 'string' to '${target}'`;
  const index = /index out of bounds, index (-?\d+)/.exec(summary)?.[1];
  if (index !== undefined) return `index out of bounds: ${index}`;
  return summary.startsWith('No such key') ? `n${summary.slice(1)}` : summary;
}

/** One line of at most 5 KiB, or the fixed message is used. */
function usableMessage(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return text === '' || text.includes('\n') || text.length > 5 * 1024 ? undefined : text;
}

function ruleName(rule: ValidationRule): string {
  return (rule.message ?? rule.rule).trim();
}

function violation({ value, path, schema }: Place, rule: ValidationRule, detail: string): FieldError {
  const at = (rule.fieldPath === undefined ? path : joinPath(path, rule.fieldPath)) || noPath;
  // Objects and lists are left out of the message; scalars are in it.
  const shown = typeof value === 'object' || schema.type === 'object' || schema.type === 'array' ? undefined : value;
  const { reason = 'FieldValueInvalid' } = rule;
  switch (reason) {
    case 'FieldValueForbidden':
      return forbidden(at, detail);
    case 'FieldValueRequired':
      return required(at, detail);
    case 'FieldValueDuplicate':
      return shown === undefined
        ? { path: at, reason: 'FieldValueDuplicate', message: 'Duplicate value' }
        : duplicate(at, shown);
    case 'FieldValueInvalid': {
      const prefix = shown === undefined ? 'Invalid value' : `Invalid value: ${JSON.stringify(shown)}`;
      return { path: at, reason: 'FieldValueInvalid', message: `${prefix}: ${detail}` };
    }
  }
}

/** `.spec.x` and `['a.b']` below a path, as field paths are written. */
function joinPath(path: string, below: string): string {
  const text = below.replaceAll(
    /\['((?:[^'\\]|\\.)*)'\]/g,
    (_, name: string) => `[${name.replaceAll(/\\(.)/g, '$1')}]`,
  );
  return path === '' ? text.replace(/^\./, '') : `${path}${text}`;
}

function refusal(path: string, type: string, detail: string): FieldError {
  return {
    path: path || noPath,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(type)}: ${detail}`,
  };
}
