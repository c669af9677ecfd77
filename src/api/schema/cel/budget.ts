/** How much work the rules of one object may cause: a hostile rule or object ends in an error, never in a server that stands still. */
import { EvaluationError } from '@marcbachmann/cel-js';

/** Steps of comprehensions, over all rules of one object. */
const maxSteps = 1_000_000;
/** For steps that are long themselves: texts of megabytes. */
const maxMs = 1_000;
const stepsPerLook = 256;

const exhausted = new EvaluationError({ code: 'budget_exhausted', message: 'cost budget exhausted' });

let steps = 0;
let mostSteps = maxSteps;
let deadlineMs = Infinity;

/** Begins the account of an object. Evaluation is synchronous, so that one account is enough. */
export function openBudget(limits: { readonly steps: number; readonly ms: number } = defaultLimits): void {
  steps = 0;
  mostSteps = limits.steps;
  deadlineMs = performance.now() + limits.ms;
}

const defaultLimits = { steps: maxSteps, ms: maxMs };

/** Counts work; throws when there was too much. */
export function charge(amount = 1): void {
  const before = steps;
  steps += amount;
  if (steps > mostSteps) throw exhausted;
  if (Math.trunc(before / stepsPerLook) === Math.trunc(steps / stepsPerLook)) return;
  if (performance.now() < deadlineMs) return;
  steps = mostSteps + 1;
  throw exhausted;
}

export function isBudgetSpent(): boolean {
  return steps > mostSteps;
}
