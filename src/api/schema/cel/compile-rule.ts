/** One rule made ready, or what is wrong with it: for the schema's author when the rule is stored, for the log when it runs. */
import { ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import { messageOf } from '../../../lib/errors.ts';
import type { JsonSchema, ValidationRule } from '../schema.ts';
import { analyse } from './analyse.ts';
import { parseExpression, type Expression } from './environment.ts';

export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly expression?: Expression;
  readonly message?: Expression;
  /** Why the rule or its message cannot run. */
  readonly errors: readonly RuleError[];
}

export interface RuleError {
  readonly field: 'rule' | 'messageExpression';
  /** As cel-go reports it: `compilation failed: ERROR: <input>:1:5: undefined field 'x'` and the place in the text. */
  readonly detail: string;
}

/** `self` has the type of `schema`. */
export function compileRule(rule: ValidationRule, schema: JsonSchema): CompiledRule {
  const errors: RuleError[] = [];
  const ready = (field: RuleError['field'], text: string, wanted: 'bool' | 'string'): Expression | undefined => {
    try {
      const expression = parseExpression(text);
      const problems = analyse(expression.tree, schema, rule.optionalOldSelf === true);
      for (const { at, message } of problems.slice(0, 1)) {
        errors.push({ field, detail: `compilation failed: ${located(text, at, message)}` });
      }
      if (expression.type !== wanted && expression.type !== 'dyn') {
        const detail =
          wanted === 'bool' ? 'cel expression must evaluate to a bool' : 'messageExpression must evaluate to a string';
        errors.push({ field, detail });
      }
      return expression;
    } catch (error) {
      errors.push({ field, detail: `compilation failed: ${describe(text, error)}` });
      return undefined;
    }
  };
  const expression = ready('rule', rule.rule, 'bool');
  const { messageExpression } = rule;
  const message = messageExpression === undefined ? undefined : ready('messageExpression', messageExpression, 'string');
  return { rule, errors, ...(expression && { expression }), ...(message && { message }) };
}

function describe(text: string, error: unknown): string {
  if (!(error instanceof ParseError) && !(error instanceof CelTypeError)) return messageOf(error);
  const unknown = /^Unknown variable: (.*)$/.exec(error.summary)?.[1];
  const detail =
    unknown === undefined
      ? `${error instanceof ParseError ? 'Syntax error: ' : ''}${error.summary}`
      : `undeclared reference to '${unknown}' (in container '')`;
  return located(text, error.range?.start ?? 0, detail);
}

function located(text: string, at: number, detail: string): string {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - (before.lastIndexOf('\n') + 1);
  const source = text.split('\n')[line - 1] ?? '';
  return `ERROR: <input>:${line}:${column + 1}: ${detail}\n | ${source}\n | ${'.'.repeat(column)}^`;
}
