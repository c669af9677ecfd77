/** Kinds of the group apiextensions.k8s.io. */
import { column, nameColumn } from '../columns/columns.ts';
import { ensureObject, objectAt, objectsAt, type JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { crdSchema } from '../schema/apiextensions.ts';
import { validateCrd } from '../validation/crd.ts';

export const apiextensionsKinds: readonly KindInfo[] = [
  define(kinds.CustomResourceDefinition, {
    schema: crdSchema,
    columns: [
      nameColumn,
      column('Created At', 'When it was created.', ({ metadata }) => metadata.creationTimestamp ?? ''),
    ],
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    defaults: defaultCrd,
    validate: validateCrd,
  }),
];

function defaultCrd(crd: JsonObject): void {
  const spec = objectAt(crd, 'spec');
  if (!spec) return;
  spec['conversion'] ??= { strategy: 'None' };
  const names = ensureObject(spec, 'names');
  const kind = names?.['kind'];
  if (names && typeof kind === 'string') {
    names['singular'] ||= kind.toLowerCase();
    names['listKind'] ||= `${kind}List`;
  }
  for (const version of objectsAt(spec, 'versions')) {
    if (version['deprecated'] === false) delete version['deprecated'];
  }
}
