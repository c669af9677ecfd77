/** What a server knows of a kind beyond its address. */
import type { FieldError } from './field-error.ts';
import type { KindRef, KubeObject } from './meta.ts';
import type { JsonSchema } from './schema/schema.ts';

/** One column of a `meta.k8s.io/v1` Table. */
export interface Column<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly format?: 'name';
  readonly description: string;
  /** 0: always shown; 1: only with `-o wide`. */
  readonly priority: 0 | 1;
  cell(object: T, nowMs: number): string | number | boolean | null;
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
  /** Served versions, the preferred (stored) one first; all have the same fields. */
  readonly versions: readonly string[];
  readonly schema: JsonSchema;
  readonly columns: readonly Column<T>[];
  /** A copy with the defaults of the API server filled in. Never throws, also for objects that are not valid. */
  defaults(object: T): T;
  /** Every problem at once; call it with the defaulted object. Never throws, whatever the JSON. */
  validate(object: T, options?: ValidateOptions<T>): FieldError[];
}
