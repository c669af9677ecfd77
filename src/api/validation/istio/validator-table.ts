/** Validators by example (tests only): specs that are fine, and specs with what is said of them. */
import { deepEqual } from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkCustomObject } from '../../custom/check-object.ts';
import type { CustomKind } from '../../custom/custom-kind.ts';
import { viewOf, type FieldView } from '../../field-view.ts';
import type { KubeObject } from '../../meta.ts';
import type { Validation } from '../validation.ts';

type Validate = (object: FieldView) => Validation;

interface Examples {
  /** Specs of which nothing is said, by what they do; the schema of the kind takes them, too. */
  readonly fine: Readonly<Record<string, unknown>>;
  /** Specs, each with the lines that are said of it; those that begin with `W ` are warnings. */
  readonly judged: Readonly<Record<string, readonly [spec: unknown, ...lines: string[]]>>;
}

/** Lists of what is allowed make some messages long; what is wrong comes first. */
const maxLine = 160;

export function describeValidator(kind: CustomKind, validate: Validate, { fine, judged }: Examples): void {
  describe(`the rules of ${kind.ref.kind}`, () => {
    for (const [does, spec] of Object.entries(fine)) {
      it(`say nothing when it ${does}`, () => {
        deepEqual(linesOf(validate, spec), []);
        const object = { apiVersion: `${kind.ref.group}/${kind.ref.version}`, kind: kind.ref.kind, metadata: {}, spec };
        const { errors, unknown } = checkCustomObject(kind, object as KubeObject);
        deepEqual([errors, unknown], [[], []]);
      });
    }
    for (const [does, [spec, ...lines]] of Object.entries(judged)) {
      it(`speak when it ${does}`, () => deepEqual(linesOf(validate, spec), lines));
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
