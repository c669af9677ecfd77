/** Validators by example (tests only): specs that are fine, and specs with what is said of them. */
import { deepEqual } from 'node:assert/strict';
import { describe, it } from 'node:test';
import { viewOf, type FieldView } from '../../field-view.ts';
import type { Validation } from '../validation.ts';

type Validate = (object: FieldView) => Validation;

interface Examples {
  /** Specs of which nothing is said, by what they do. */
  readonly fine: Readonly<Record<string, unknown>>;
  /** Specs, each with the lines that are said of it; those that begin with `W ` are warnings. */
  readonly judged: Readonly<Record<string, readonly [spec: unknown, ...lines: string[]]>>;
}

/** Lists of what is allowed make some messages long; what is wrong comes first. */
const maxLine = 160;

export function describeValidator(what: string, validate: Validate, { fine, judged }: Examples): void {
  describe(what, () => {
    for (const [does, spec] of Object.entries(fine)) {
      it(`is fine when it ${does}`, () => deepEqual(linesOf(validate, spec), []));
    }
    for (const [does, [spec, ...lines]] of Object.entries(judged)) {
      it(`is judged when it ${does}`, () => deepEqual(linesOf(validate, spec), lines));
    }
  });
}

/** What is said of an object `x` of the namespace `shop`. */
export function linesOf(
  validate: Validate,
  spec: unknown,
  annotations: Readonly<Record<string, unknown>> = {},
): string[] {
  const { errors, warnings } = validate(viewOf({ metadata: { name: 'x', namespace: 'shop', annotations }, spec }));
  const lines = [...errors.map(({ path, message }) => `${path}: ${message}`), ...warnings.map((text) => `W ${text}`)];
  return lines.map((line) => (line.length > maxLine ? `${line.slice(0, maxLine)}...` : line));
}
