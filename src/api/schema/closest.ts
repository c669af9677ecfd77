/**
 * Which of several schemas a value that fits none of them came closest to: kube-openapi reports the errors of the one of which
 * most checks were made (`validate/result.go`, MatchCount).
 */
import { isRecord } from '../field-view.ts';
import type { JsonSchema } from './schema.ts';

/** The errors of the closest; of equals, the first's. */
export function closestOf<T>(value: unknown, schemas: readonly JsonSchema[], results: readonly T[]): T | undefined {
  let best = -1;
  let found: T | undefined;
  for (const [i, schema] of schemas.entries()) {
    const checks = checksOf(value, schema);
    if (checks <= best) continue;
    best = checks;
    found = results[i];
  }
  return found;
}

/** How many checks a schema makes of a value, nearly: what counts is which schema makes more. */
function checksOf(value: unknown, schema: JsonSchema): number {
  const typed = schema.type !== undefined || schema.format !== undefined ? 2 : 0;
  if (value === null || value === undefined) return typed / 2;
  let count = 4 + typed;
  for (const part of schema.allOf ?? []) count += checksOf(value, part);
  for (const parts of [schema.anyOf, schema.oneOf]) {
    if (parts) count += Math.max(...parts.map((part) => checksOf(value, part)));
  }
  if (typeof value === 'string') return count + (schema.format === undefined ? 2 : 4);
  if (typeof value === 'number') return count + 2;
  if (Array.isArray(value)) {
    const { items } = schema;
    return count + 2 + (items ? value.reduce<number>((sum, item) => sum + checksOf(item, items), 0) : 0);
  }
  if (!isRecord(value)) return count;
  for (const [name, item] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const next = known ?? schema.additionalProperties;
    if (next) count += checksOf(item, next);
  }
  return count + 2;
}
