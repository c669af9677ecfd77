/** What a server knows of a kind by its CustomResourceDefinition. */
import { copyWithoutNulls } from '../defaults/fill.ts';
import { isRecord, viewOf } from '../field-view.ts';
import type { KindInfo } from '../kind-info.ts';
import type { KubeObject } from '../meta.ts';
import { applyDefaults, dropNulls, hasDefaults } from '../schema/defaulting.ts';
import { objectMeta } from '../schema/meta.ts';
import type { JsonSchema } from '../schema/schema.ts';
import { immutable, validateMeta } from '../validation/meta.ts';
import { dns1123Subdomain } from '../validation/names.ts';
import { schemaErrors } from './check-object.ts';
import type { CustomResourceDefinition, DefinedVersion } from './crd.ts';
import { columnsOf } from './printer-columns.ts';

/** The kind in one of its versions. Schema, columns and checks are made when they are first asked for. */
export function kindInfoOf({ spec }: CustomResourceDefinition, version: DefinedVersion): KindInfo {
  const { group, names, scope, versions } = spec;
  const stored = versions.find(({ storage }) => storage)?.name ?? version.name;
  const others = versions.filter(({ name, served }) => served && name !== stored).map(({ name }) => name);
  const namespaced = scope === 'Namespaced';
  const { status, scale } = version.subresources ?? {};
  const schema = lazy(() => wholeSchema(version.schema?.openAPIV3Schema ?? {}));
  const columns = lazy(() => columnsOf(version.additionalPrinterColumns));
  const readCopies = new WeakMap<KubeObject, KubeObject>();
  return {
    group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    namespaced,
    singular: names.singular ?? names.kind.toLowerCase(),
    listKind: names.listKind ?? `${names.kind}List`,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    hasStatus: status !== undefined,
    versions: [stored, ...others],
    isCustom: true,
    selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, '')),
    ...(scale && { scale }),
    ...(version.deprecated && {
      deprecationWarning: version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`,
    }),
    get schema() {
      return schema();
    },
    get columns() {
      return columns();
    },
    defaults(object) {
      const copy = structuredClone(object);
      if (isRecord(copy.metadata)) copy.metadata = copyWithoutNulls(copy.metadata);
      applyDefaults(copy, schema());
      dropNulls(copy, schema());
      return copy;
    },
    onRead(object) {
      if (!hasDefaults(schema())) return object;
      let read = readCopies.get(object);
      if (!read) {
        const copy = structuredClone(object);
        read = applyDefaults(copy, schema()) ? copy : object;
        readCopies.set(object, read);
      }
      return read;
    },
    validate(object, options = {}) {
      const meta = viewOf(object).at('metadata');
      const errors = validateMeta(meta, dns1123Subdomain, namespaced);
      if (options.old) errors.push(...immutable(meta.at('name'), viewOf(options.old).at('metadata').at('name')));
      return [...errors, ...schemaErrors(object, schema(), options.old)];
    },
  };
}

/** Every served version of a definition. */
export function servedKinds(crd: CustomResourceDefinition): KindInfo[] {
  return crd.spec.versions.filter(({ served }) => served).map((version) => kindInfoOf(crd, version));
}

/** The schema of the whole object, with the fields that every object has. */
function wholeSchema(given: JsonSchema): JsonSchema {
  const schema = withoutBooleans(given);
  return {
    ...schema,
    type: 'object',
    properties: {
      ...schema.properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: objectMeta,
    },
  };
}

/** `additionalProperties: true` is a schema that accepts anything. The same schema when there is none in it. */
function withoutBooleans(schema: JsonSchema): JsonSchema {
  const changed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(schema)) {
    const next = withoutBooleansAt(name, value);
    if (next !== value) changed[name] = next;
  }
  return Object.keys(changed).length === 0 ? schema : { ...schema, ...changed };
}

function withoutBooleansAt(name: string, value: unknown): unknown {
  if (name === 'additionalProperties' && typeof value === 'boolean') {
    return value ? { 'x-kubernetes-preserve-unknown-fields': true } : undefined;
  }
  if ((name === 'items' || name === 'additionalProperties') && isRecord(value)) return withoutBooleans(value);
  if (name !== 'properties' || !isRecord(value)) return value;
  const entries = Object.entries(value).map(([field, inner]) => [field, withoutBooleans(inner as JsonSchema)] as const);
  return entries.every(([field, inner]) => inner === value[field]) ? value : Object.fromEntries(entries);
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
