/** From what is special about a kind to all that a server knows of it. */
import { plainColumns } from './columns/kinds.ts';
import { copyWithoutNulls, type JsonObject } from './defaults/fill.ts';
import type { FieldError } from './field-error.ts';
import { viewOf, type FieldView } from './field-view.ts';
import type { Column, KindInfo } from './kind-info.ts';
import type { KindRef, KubeObject } from './meta.ts';
import { checkSchema } from './schema/compile.ts';
import type { JsonSchema } from './schema/schema.ts';
import { immutable, validateMeta, type NameRule } from './validation/meta.ts';
import { dns1123Subdomain } from './validation/names.ts';

type Validate = (object: FieldView, old: FieldView | undefined) => FieldError[];

export interface Traits<T extends KubeObject> {
  readonly schema: JsonSchema;
  readonly columns?: readonly Column<T>[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Default true. */
  readonly hasStatus?: boolean;
  readonly nameRule?: NameRule;
  readonly defaults?: (object: JsonObject) => void;
  readonly validate?: Validate;
  readonly onCreate?: (object: JsonObject) => void;
  readonly createWarning?: string;
  readonly deprecationWarning?: string;
  /** The forms of an object that is stored as another kind. */
  readonly sharedStorage?: SharedStorage;
}

export interface SharedStorage {
  readonly kind: KindRef;
  readonly toStored: (object: JsonObject) => JsonObject;
  readonly fromStored: (object: JsonObject) => JsonObject;
}

export function define<T extends KubeObject>(kind: KindRef<T>, traits: Traits<T>): KindInfo {
  const { schema, nameRule = dns1123Subdomain } = traits;
  const info: KindInfo<T> = {
    ...kind,
    singular: kind.kind.toLowerCase(),
    listKind: `${kind.kind}List`,
    shortNames: traits.shortNames ?? [],
    categories: traits.categories ?? [],
    hasStatus: traits.hasStatus ?? true,
    versions: [kind.version],
    schema,
    columns: traits.columns ?? plainColumns,
    ...(traits.onCreate && { onCreate: traits.onCreate as unknown as (object: T) => void }),
    ...(traits.createWarning !== undefined && { createWarning: traits.createWarning }),
    ...(traits.deprecationWarning !== undefined && { deprecationWarning: traits.deprecationWarning }),
    ...(traits.sharedStorage && sharing<T>(traits.sharedStorage)),
    defaults(object) {
      const copy = copyWithoutNulls(object);
      traits.defaults?.(copy as unknown as JsonObject);
      return copy;
    },
    validate(object, options = {}) {
      const view = viewOf(object);
      const old = options.old ? viewOf(options.old) : undefined;
      const errors = [...checkSchema(object, schema), ...validateMeta(view.at('metadata'), nameRule, kind.namespaced)];
      if (old) errors.push(...immutable(view.at('metadata').at('name'), old.at('metadata').at('name')));
      errors.push(...(traits.validate?.(view, old) ?? []));
      return withoutRepeats(errors);
    },
  };
  // A list of all kinds cannot say which type goes with which entry.
  return info as unknown as KindInfo;
}

function sharing<T extends KubeObject>(shared: SharedStorage): Pick<KindInfo<T>, 'storage' | 'onRead' | 'onStore'> {
  const { kind, toStored, fromStored } = shared;
  return {
    storage: { group: kind.group, plural: kind.plural },
    onRead: (object) => fromStored(object as unknown as JsonObject) as unknown as T,
    onStore: (object) => toStored(object as unknown as JsonObject) as unknown as KubeObject,
  };
}

/** The schema and the rules of a kind may say the same thing of the same field. */
function withoutRepeats(errors: readonly FieldError[]): FieldError[] {
  const seen = new Set<string>();
  return errors.filter(({ path, reason }) => {
    const key = `${path} ${reason}`;
    if (reason === 'FieldValueRequired' || reason === 'FieldValueNotSupported') {
      if (seen.has(key)) return false;
      seen.add(key);
    }
    return true;
  });
}
