/** Values in the mesh configuration: each says what is wrong with it, with its path. */
import type { FieldView } from '../api/field-view.ts';
import { goDurationNanos } from '../api/schema/formats.ts';

/** `{ [name]: <milliseconds> }`, or nothing where nothing is said. */
export function optionalDurationMs<K extends string>(
  name: K,
  view: FieldView,
  problems: string[],
): { [P in K]?: number } {
  const found: { [P in K]?: number } = {};
  if (!view.exists) return found;
  const nanos = goDurationNanos(view.text ?? '');
  if (nanos === undefined || nanos < 0n) problems.push(`${view.path}: must be a duration, like 5s or 250ms`);
  else found[name] = Number(nanos / 1_000_000n);
  return found;
}

export function portOf(view: FieldView, problems: string[]): number {
  const port = view.number ?? Number(view.text ?? 0);
  if (!(Number.isInteger(port) && port >= 1 && port <= 65_535))
    problems.push(`${view.path}: must be a port, 1 to 65535`);
  return port;
}

/** `{ [name]: <number> }` within bounds. */
export function optionalNumber<K extends string>(
  name: K,
  view: FieldView,
  bounds: { readonly min: number; readonly max: number },
  problems: string[],
): { [P in K]?: number } {
  const found: { [P in K]?: number } = {};
  if (!view.exists) return found;
  const { number } = view;
  if (number === undefined || !(number >= bounds.min && number <= bounds.max))
    problems.push(`${view.path}: must be a number from ${bounds.min} to ${bounds.max}`);
  else found[name] = number;
  return found;
}

/** `{ [name]: <choice> }` by the texts of `choices`. */
export function optionalChoice<K extends string, V>(
  name: K,
  view: FieldView,
  choices: Readonly<Record<string, V>>,
  problems: string[],
): { [P in K]?: V } {
  const found: { [P in K]?: V } = {};
  if (!view.exists) return found;
  const value = Object.hasOwn(choices, view.text ?? '') ? choices[view.text ?? ''] : undefined;
  if (value === undefined) problems.push(`${view.path}: must be one of ${Object.keys(choices).join(', ')}`);
  else found[name] = value;
  return found;
}
