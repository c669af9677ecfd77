/** Objects made from a schema (tests only): every field is there, and of alternatives one. */
import type { JsonSchema } from '../../schema/schema.ts';

/** Texts that patterns and rules of fields ask for, by the name of the field. */
const texts: readonly (readonly [name: RegExp, text: string])[] = [
  [/(timeout|duration|interval|delay|time|ttl|maxage|backoff|warmupdurationsecs|baseejectiontime)$/i, '5s'],
  [/uri$|^url$/i, 'https://example.com/x'],
  [/^sha256$/, 'a'.repeat(64)],
  [/^bytes$/, 'YQ=='],
  [/^namespace$/, ''],
  [/^scheme$/, 'HTTP'],
  [/^group$/, 'example.com'],
];

/** `turn` chooses among alternatives: over all turns, each is chosen. */
export function sampleOf(schema: JsonSchema, turn: number, name = ''): unknown {
  if (schema.enum) return schema.enum[turn % schema.enum.length];
  switch (schema.type) {
    case 'object':
      return objectOf(schema, turn);
    case 'array':
      return schema.items ? [sampleOf(schema.items, turn, name)] : [];
    case 'integer':
    case 'number':
      return Math.max(schema.minimum ?? 1, 1);
    case 'boolean':
      return true;
    case 'string':
      return schema.format === 'date-time'
        ? '2026-01-01T00:00:00Z'
        : (texts.find(([each]) => each.test(name))?.[1] ?? 'a');
    case undefined:
      return 1;
  }
}

function objectOf(schema: JsonSchema, turn: number): Record<string, unknown> {
  if (schema.additionalProperties) return { 80: sampleOf(schema.additionalProperties, turn) };
  const left = new Set<string>();
  for (const part of [schema, ...(schema.allOf ?? [])]) {
    const alternatives = (part.oneOf ?? []).flatMap(({ required }) => required ?? []);
    const chosen = alternatives[turn % alternatives.length];
    for (const other of alternatives) if (other !== chosen) left.add(other);
  }
  const fields = Object.entries(schema.properties ?? {}).filter(([field]) => !left.has(field));
  return Object.fromEntries(fields.map(([field, each]) => [field, sampleOf(each, turn, field)]));
}
