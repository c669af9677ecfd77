/** A custom kind as the CustomResourceDefinition that brings it to a server. */
import type { KubeObject } from '../meta.ts';
import type { JsonSchema } from '../schema/schema.ts';
import type { CustomKind, CustomVersion, PrinterColumn } from './custom-kind.ts';

/** apiextensions.k8s.io/v1, as far as it is read and written here. */
export interface CustomResourceDefinition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: CustomNames;
    readonly versions: readonly DefinedVersion[];
    readonly conversion?: { readonly strategy: string };
    readonly preserveUnknownFields?: boolean;
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly lastTransitionTime: string;
    }[];
    readonly acceptedNames?: Partial<CustomNames>;
    readonly storedVersions?: readonly string[];
  };
}

export interface CustomNames {
  readonly plural: string;
  readonly singular?: string;
  readonly kind: string;
  readonly listKind?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

export interface DefinedVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
  readonly schema?: { readonly openAPIV3Schema?: JsonSchema };
  readonly subresources?: {
    readonly status?: Readonly<Record<string, never>>;
    readonly scale?: {
      readonly specReplicasPath: string;
      readonly statusReplicasPath: string;
      readonly labelSelectorPath?: string;
    };
  };
  readonly additionalPrinterColumns?: readonly PrinterColumn[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
}

/** The definition to apply. Deterministic: the same kind gives the same text. */
export function crdOf(kind: CustomKind): CustomResourceDefinition {
  const { ref } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${ref.plural}.${ref.group}`,
      ...(kind.labels && { labels: { ...kind.labels } }),
      ...(kind.annotations && { annotations: { ...kind.annotations } }),
    },
    spec: {
      group: ref.group,
      names: {
        ...(kind.categories && { categories: kind.categories }),
        kind: ref.kind,
        listKind: `${ref.kind}List`,
        plural: ref.plural,
        ...(kind.shortNames && { shortNames: kind.shortNames }),
        singular: kind.singular ?? ref.kind.toLowerCase(),
      },
      scope: ref.namespaced ? 'Namespaced' : 'Cluster',
      versions: kind.versions.map((version) => definedVersion(version, kind.hasStatus ?? true)),
    },
  };
}

function definedVersion(version: CustomVersion, hasStatus: boolean): DefinedVersion {
  const { columns, deprecationWarning } = version;
  return {
    name: version.name,
    served: version.served ?? true,
    storage: version.storage ?? false,
    ...(deprecationWarning !== undefined && { deprecated: true, deprecationWarning }),
    ...(columns.length > 0 && { additionalPrinterColumns: columns.map(definedColumn) }),
    schema: { openAPIV3Schema: wholeObject(version.schema) },
    ...(hasStatus && { subresources: { status: {} } }),
  };
}

function definedColumn({ name, type, jsonPath, description, format, priority }: PrinterColumn): PrinterColumn {
  return {
    ...(description !== undefined && { description }),
    ...(format !== undefined && { format }),
    jsonPath,
    name,
    ...(priority !== undefined && { priority }),
    type,
  };
}

const aboutVersion =
  'The version of the schema that this object is written in, as GROUP/VERSION. Servers convert it to the version they store.';
const aboutKind = 'The kind of this object, in CamelCase. It cannot be changed.';

function wholeObject(schema: JsonSchema): JsonSchema {
  const { description, properties, ...rest } = forServer(schema);
  return {
    ...(description !== undefined && { description }),
    ...rest,
    type: 'object',
    properties: {
      apiVersion: { description: aboutVersion, type: 'string' },
      kind: { description: aboutKind, type: 'string' },
      metadata: { type: 'object' },
      ...Object.fromEntries(
        Object.entries(properties ?? {}).filter(([name]) => !['apiVersion', 'kind', 'metadata'].includes(name)),
      ),
    },
  };
}

/** Extensions that are for Kubernetes' own kinds alone; an API server refuses or drops them here. */
const builtinOnly: ReadonlySet<string> = new Set([
  'x-kubernetes-patch-merge-key',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-group-version-kind',
]);

function forServer(schema: JsonSchema): JsonSchema {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(schema)) {
    if (!builtinOnly.has(name)) result[name] = innerForServer(name, value);
  }
  return result;
}

function innerForServer(name: string, value: unknown): unknown {
  switch (name) {
    case 'items':
    case 'additionalProperties':
    case 'not':
      return forServer(value as JsonSchema);
    case 'oneOf':
    case 'anyOf':
    case 'allOf':
      return (value as readonly JsonSchema[]).map(forServer);
    case 'properties':
      return Object.fromEntries(
        Object.entries(value as Readonly<Record<string, JsonSchema>>).map(([field, inner]) => [
          field,
          forServer(inner),
        ]),
      );
    default:
      return value;
  }
}
