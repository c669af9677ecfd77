/** Fields that an applier wants and others hold, as the refusal that Kubernetes words. */
import { StatusError } from '../status-error.ts';
import { pathsOf, type FieldSet } from './field-set.ts';
import type { ManagerFields } from './managed-fields.ts';

export interface Conflict {
  readonly manager: ManagerFields;
  readonly fields: FieldSet;
}

/** 409 with one cause a field. */
export function applyConflict(conflicts: readonly Conflict[]): StatusError {
  const listed = conflicts
    .map(({ manager, fields }) => ({ holder: describe(manager), paths: pathsOf(fields) }))
    .toSorted((a, b) => (a.holder < b.holder ? -1 : 1));
  const causes = listed.flatMap(({ holder, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${holder}`, field })),
  );
  const [only] = causes;
  const message =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${only?.message}: ${only?.field}`
      : `Apply failed with ${causes.length} conflicts: ${listed
          .map(({ holder, paths }) => [`conflicts with ${holder}:`, ...paths.map((path) => `- ${path}`)].join('\n'))
          .join('\n')}`;
  return new StatusError({ code: 409, reason: 'Conflict', message, details: { causes } });
}

function describe({ name, subresource, operation, apiVersion }: ManagerFields): string {
  const who = JSON.stringify(name) + (subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`);
  if (operation === 'Apply') return who;
  return `${who} using ${apiVersion}`;
}
