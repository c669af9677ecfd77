/** What a server knows of a kind beyond its address. */
import type { FieldError } from './field-error.ts';
import type { KindRef, KubeObject } from './meta.ts';
import type { JsonSchema } from './schema/schema.ts';

/** One column of a `meta.k8s.io/v1` Table. */
export interface Column<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description: string;
  /** 0: always shown; 1: only with `-o wide`. */
  readonly priority: number;
  cell(object: T, nowMs: number): string | number | boolean | null;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export interface ValidateOptions<T extends KubeObject = KubeObject> {
  /** The stored object, on update: its immutable fields must stay. */
  readonly old?: T;
}

export interface KindInfo<T extends KubeObject = KubeObject> extends KindRef<T> {
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Whether status is a subresource: writes to the object leave it alone, writes to `/status` leave the rest alone. */
  readonly hasStatus: boolean;
  /** Served versions, the stored one first. */
  readonly versions: readonly string[];
  readonly schema: JsonSchema;
  /** Whether a CustomResourceDefinition brought it: merge patches are plain, and every version has a schema of its own. */
  readonly isCustom?: true;
  /** Paths of a custom kind's replicas, when it has `/scale`: `.spec.replicas`. */
  readonly scale?: ScalePaths;
  /** What field selectors may name of a custom kind, besides its name and namespace. */
  readonly selectableFields?: readonly string[];
  /** Sent with every answer about this version. */
  readonly deprecationWarning?: string;
  readonly columns: readonly Column<T>[];
  /** A copy with the defaults of the API server filled in. Never throws, also for objects that are not valid. */
  defaults(object: T): T;
  /** Fills in what a new object gets from the server, once it has its uid: part of its status, a selector of its own. */
  onCreate?(object: T): void;
  /** Where it shares the store with a kind that shows the same objects otherwise. */
  readonly storage?: { readonly group: string; readonly plural: string };
  /** With `storage`: the object as it is stored. */
  onStore?(object: T): KubeObject;
  /** Told to whoever creates one: what this server does not do with it. */
  readonly createWarning?: string;
  /** A stored object as this version shows it: with defaults that came after it was stored. Often the same object. */
  onRead?(object: T): T;
  /** Every problem at once; call it with the defaulted object. Never throws, whatever the JSON. */
  validate(object: T, options?: ValidateOptions<T>): FieldError[];
}
