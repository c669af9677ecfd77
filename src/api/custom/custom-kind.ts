/** A kind that a CustomResourceDefinition brings to a server: the one source of its CRD, its types and its validation. */
import type { KindRef } from '../meta.ts';
import type { JsonSchema } from '../schema/schema.ts';

/** `additionalPrinterColumns` of a version; Age is one of them where it is wanted. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** Simple JSONPath from the object: `.spec.hosts`, `.status.conditions[?(@.type=="Accepted")].status`. */
  readonly jsonPath: string;
  readonly description?: string;
  readonly format?: string;
  /** 0 (default): always shown; above: only with `-o wide`. */
  readonly priority?: number;
}

export interface CustomVersion {
  readonly name: string;
  /** Default true. */
  readonly served?: boolean;
  /** Exactly one version is stored. */
  readonly storage?: true;
  /** The text of the warning that clients get. */
  readonly deprecationWarning?: string;
  /** The whole object: `spec` and `status`; apiVersion, kind and metadata need not be said. */
  readonly schema: JsonSchema;
  readonly columns: readonly PrinterColumn[];
}

export interface CustomKind {
  /** The address, in its stored version. */
  readonly ref: KindRef;
  /** Default: the kind in lower case. */
  readonly singular?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Whether `/status` is a subresource; default true. */
  readonly hasStatus?: boolean;
  /** The preferred one first. */
  readonly versions: readonly CustomVersion[];
  /** Of the CRD object: `gateway.networking.k8s.io/bundle-version`, say. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}
