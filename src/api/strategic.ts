/** How a strategic merge patch treats the list or map at a path: read from the schemas. */
import type { KindRef } from './meta.ts';
import { kindInfo } from './registry.ts';
import type { JsonSchema } from './schema/schema.ts';

export interface MergeRule {
  /** `merge`: lists are merged item by item, objects field by field; `replace`: the new value takes the place of the old. */
  readonly strategy: 'merge' | 'replace';
  /** Of a list of objects: the field that identifies an item. Absent for lists of scalars, which are united. */
  readonly key?: string;
  /** `$retainKeys` applies here. */
  readonly retainKeys?: true;
}

/** Whether strategic merge patch exists for the kind at all: only for Kubernetes' own kinds, as there. */
export function hasStrategicMerge(kind: KindRef): boolean {
  return kindInfo(kind) !== undefined;
}

/**
 * The rule for the field at `path`: names of fields only, `['spec', 'containers', 'ports']`, list indices left out.
 * Lists that no schema knows are replaced, objects merged.
 */
export function mergeKeyOf(kind: KindRef, path: readonly string[]): MergeRule {
  let schema: JsonSchema | undefined = kindInfo(kind)?.schema;
  for (const name of path) {
    while (schema?.type === 'array') schema = schema.items;
    const known: JsonSchema | undefined =
      schema?.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    schema = known ?? schema?.additionalProperties;
  }
  if (!schema) return { strategy: 'replace' };
  const strategy = schema['x-kubernetes-patch-strategy'] ?? '';
  const inner = schema.type === 'array' ? schema.items?.['x-kubernetes-patch-strategy'] : undefined;
  const retain = strategy.includes('retainKeys') || inner?.includes('retainKeys') === true;
  const key = schema['x-kubernetes-patch-merge-key'];
  return {
    strategy: schema.type !== 'array' || strategy.includes('merge') ? 'merge' : 'replace',
    ...(key !== undefined && { key }),
    ...(retain && { retainKeys: true }),
  };
}
