/** From what is special about a kind of Istio to the whole CustomKind. */
import type { KindRef } from '../../meta.ts';
import { record, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind, PrinterColumn } from '../custom-kind.ts';
import { status } from './status.ts';

interface Traits {
  readonly spec: JsonSchema;
  readonly requiresSpec?: true;
  /** The stored one first; all have the same schema. */
  readonly versions: readonly [string, ...string[]];
  /** Default: the first of `versions`. */
  readonly preferred?: string;
  readonly shortNames?: readonly string[];
  readonly columns?: readonly PrinterColumn[];
}

/** The versions of the kinds of networking.istio.io that have been there for long. */
export const networkingVersions = ['v1', 'v1alpha3', 'v1beta1'] as const;
export const securityVersions = ['v1', 'v1beta1'] as const;

export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was made.',
  jsonPath: '.metadata.creationTimestamp',
};

export function textColumn(name: string, jsonPath: string, description: string): PrinterColumn {
  return { name, type: 'string', description, jsonPath };
}

export function istioKind(ref: KindRef, traits: Traits): CustomKind {
  const { spec, versions, preferred = versions[0], columns = [] } = traits;
  const [stored] = versions;
  const schema = record({ spec, status }, ...(traits.requiresSpec ? ['spec'] : []));
  const group = ref.group.replaceAll('.', '-');
  return {
    ref: { ...ref, version: stored },
    ...(traits.shortNames && { shortNames: traits.shortNames }),
    categories: ['istio-io', group],
    versions: versions
      .toSorted((a, b) => Number(b === preferred) - Number(a === preferred))
      .map((name) => ({ name, ...(name === stored && { storage: true as const }), schema, columns })),
  };
}
