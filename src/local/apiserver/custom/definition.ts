/** The life of a CustomResourceDefinition: its names are accepted, it is established, and its objects go before it does. */
import type { CustomNames, CustomResourceDefinition, KindInfo } from '../../../api/index.ts';
import { jsonEqual, type ApiObject } from '../object-fields.ts';
import { timestamp } from '../object-rules.ts';
import type { JsonObject } from '../merge-patch.ts';
import { notAllowed } from '../status-error.ts';
import type { Transaction } from '../store.ts';

export const crdStorage = 'customresourcedefinitions.apiextensions.k8s.io';
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export function isEstablished(crd: CustomResourceDefinition): boolean {
  return crd.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true;
}

/** Completes a definition that is written: status and finalizer. Changes `object`. */
export function admitDefinition(
  tx: Transaction,
  object: ApiObject,
  before: ApiObject | undefined,
  nowMs: number,
): void {
  const crd = object as unknown as CustomResourceDefinition;
  if (typeof crd.spec?.names !== 'object' || !Array.isArray(crd.spec.versions)) return;
  if (!before) {
    const { finalizers = [] } = object.metadata;
    if (!finalizers.includes(cleanupFinalizer)) object.metadata.finalizers = [...finalizers, cleanupFinalizer];
  }
  const status = (before as unknown as CustomResourceDefinition | undefined)?.status;
  const wasEstablished = before !== undefined && isEstablished(before as unknown as CustomResourceDefinition);
  const conflict = nameConflict(tx, crd);
  const stored = crd.spec.versions.find(({ storage }) => storage)?.name;
  const next: NonNullable<CustomResourceDefinition['status']> = {
    ...status,
    conditions: [
      condition(status, nowMs, 'NamesAccepted', conflict === undefined, {
        reason: conflict?.reason ?? 'NoConflicts',
        message: conflict?.message ?? 'no conflicts found',
      }),
      // Once established, a kind stays so: its objects must remain within reach.
      condition(status, nowMs, 'Established', conflict === undefined || wasEstablished, {
        reason: conflict === undefined || wasEstablished ? 'InitialNamesAccepted' : 'NotAccepted',
        message:
          conflict === undefined || wasEstablished
            ? 'the initial names have been accepted'
            : 'not all names are accepted',
      }),
      ...(status?.conditions?.filter(({ type }) => type === 'Terminating') ?? []),
    ],
    acceptedNames: conflict === undefined ? crd.spec.names : (status?.acceptedNames ?? { plural: '', kind: '' }),
    storedVersions: [...new Set([...(status?.storedVersions ?? []), ...(stored === undefined ? [] : [stored])])],
  };
  if (!jsonEqual(status, next)) object.status = next as unknown as JsonObject;
}

/** Throws 405 for a new object of a kind whose definition is going. */
export function refuseWhileTerminating(tx: Transaction, kind: KindInfo): void {
  const crd = tx.get(crdStorage, '', `${kind.plural}.${kind.group}`)?.object;
  if (crd?.metadata.deletionTimestamp === undefined) return;
  throw notAllowed('create not allowed while custom resource definition is terminating');
}

type Conditions = NonNullable<NonNullable<CustomResourceDefinition['status']>['conditions']>;

function condition(
  before: CustomResourceDefinition['status'],
  nowMs: number,
  type: string,
  holds: boolean,
  why: { readonly reason: string; readonly message: string },
): Conditions[number] {
  const status = holds ? 'True' : 'False';
  const was = before?.conditions?.find((each) => each.type === type);
  const lastTransitionTime = was?.status === status ? was.lastTransitionTime : timestamp(nowMs);
  return { lastTransitionTime, message: why.message, reason: why.reason, status, type };
}

/** The first name that another definition of the group has already. */
function nameConflict(
  tx: Transaction,
  crd: CustomResourceDefinition,
): { readonly reason: string; readonly message: string } | undefined {
  const others = tx
    .list(crdStorage)
    .map(({ object }) => object as CustomResourceDefinition)
    .filter((other) => other.spec.group === crd.spec.group && other.metadata.name !== crd.metadata.name)
    .map((other) => other.status?.acceptedNames ?? {});
  const plurals = new Set(others.flatMap(resourceNames));
  const kinds = new Set(others.flatMap(({ kind, listKind }) => [kind, listKind]));
  const { names } = crd.spec;
  const taken = (name: string | undefined, used: ReadonlySet<string | undefined>): boolean =>
    name !== undefined && used.has(name);
  const conflict = (reason: string, name: string | undefined): { reason: string; message: string } => ({
    reason,
    message: `${JSON.stringify(name)} is already in use`,
  });
  if (taken(names.plural, plurals)) return conflict('PluralConflict', names.plural);
  if (taken(names.singular, plurals)) return conflict('SingularConflict', names.singular);
  const short = names.shortNames?.find((name) => plurals.has(name));
  if (short !== undefined) return conflict('ShortNamesConflict', short);
  if (taken(names.kind, kinds)) return conflict('KindConflict', names.kind);
  return taken(names.listKind, kinds) ? conflict('ListKindConflict', names.listKind) : undefined;
}

function resourceNames({ plural, singular, shortNames = [] }: Partial<CustomNames>): (string | undefined)[] {
  return [plural, singular, ...shortNames];
}
