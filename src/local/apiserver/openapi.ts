/** OpenAPI v3 documents, as far as kubectl reads them: schemas by kind, and `fieldValidation` on PATCH. */
import { createHash } from 'node:crypto';
import type { JsonSchema, KindInfo } from '../../api/index.ts';
import { allGroups } from './discovery.ts';
import { groupVersion, type ServedKinds } from './served-kinds.ts';

interface Document {
  /** The kinds it describes; another list asks for another document. */
  readonly kinds: readonly KindInfo[];
  readonly text: string;
  readonly hash: string;
}

const documents = new WeakMap<ServedKinds, Map<string, Document>>();

/** `GET /openapi/v3`: where each group and version has its document. */
export function openapiIndex(kinds: ServedKinds): unknown {
  const paths: Record<string, { serverRelativeURL: string }> = {};
  for (const { group, versions } of allGroups(kinds)) {
    for (const version of versions) {
      const path = documentPath(group, version);
      const { hash } = documentOf(kinds, group, version);
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
  }
  return { paths };
}

/** `GET /openapi/v3/api/v1`, `/openapi/v3/apis/GROUP/VERSION`; undefined for an unknown path. */
export function openapiDocument(kinds: ServedKinds, path: string): string | undefined {
  for (const { group, versions } of allGroups(kinds)) {
    for (const version of versions)
      if (documentPath(group, version) === path) return documentOf(kinds, group, version).text;
  }
  return undefined;
}

function documentPath(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function documentOf(served: ServedKinds, group: string, version: string): Document {
  const known = documents.get(served) ?? new Map<string, Document>();
  documents.set(served, known);
  const key = groupVersion(group, version);
  const kinds = served.of(group, version);
  let document = known.get(key);
  if (!document || document.kinds.length !== kinds.length || document.kinds.some((kind, i) => kind !== kinds[i])) {
    const text = JSON.stringify(buildDocument(kinds, version));
    document = { kinds, text, hash: createHash('sha256').update(text).digest('hex').toUpperCase() };
    known.set(key, document);
  }
  return document;
}

function buildDocument(kinds: readonly KindInfo[], version: string): unknown {
  const paths: Record<string, unknown> = {};
  const schemas: Record<string, unknown> = {};
  for (const kind of kinds) {
    schemas[schemaName(kind, version)] = kindSchema(kind, version);
    Object.assign(paths, pathsOf(kind, version));
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'v1.33.0' }, paths, components: { schemas } };
}

function kindSchema(kind: KindInfo, version: string): JsonSchema {
  return {
    ...kind.schema,
    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, ...kind.schema.properties },
    'x-kubernetes-group-version-kind': [{ group: kind.group, version, kind: kind.kind }],
  };
}

function pathsOf(kind: KindInfo, version: string): Record<string, unknown> {
  const root = kind.group === '' ? `/api/${version}` : `/apis/${kind.group}/${version}`;
  const collection = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
  const ref = { $ref: `#/components/schemas/${schemaName(kind, version)}` };
  const operation = (action: string, query: readonly string[]): Record<string, unknown> => ({
    operationId: `${action}${kind.kind}`,
    parameters: query.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })),
    responses: { 200: { description: 'OK', content: { 'application/json': { schema: ref } } } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: kind.group, version, kind: kind.kind },
  });
  const write = ['dryRun', 'fieldManager', 'fieldValidation'];
  const body = (...types: string[]): Record<string, unknown> => ({
    requestBody: { required: true, content: Object.fromEntries(types.map((type) => [type, { schema: ref }])) },
  });
  const patches = [
    'application/merge-patch+json',
    ...(!kind.isCustom ? ['application/strategic-merge-patch+json'] : []),
  ];
  return {
    [collection]: {
      get: operation('list', ['labelSelector', 'fieldSelector', 'watch', 'resourceVersion']),
      post: { ...operation('post', write), ...body('application/json', 'application/yaml') },
    },
    [`${collection}/{name}`]: {
      get: operation('get', []),
      put: { ...operation('put', write), ...body('application/json', 'application/yaml') },
      patch: { ...operation('patch', write), ...body(...patches) },
      delete: operation('delete', ['dryRun', 'gracePeriodSeconds', 'propagationPolicy']),
    },
  };
}

/** `io.k8s.api.core.v1.Pod`, `io.istio.security.v1.AuthorizationPolicy` */
function schemaName(kind: KindInfo, version: string): string {
  const group = !kind.isCustom
    ? `io.k8s.api.${kind.group === '' ? 'core' : (kind.group.split('.')[0] ?? '')}`
    : kind.group.split('.').toReversed().join('.');
  return `${group}.${version}.${kind.kind}`;
}
