/** Create, update and delete as plans over a store transaction: admission, validation, then the change. */
import type { KindInfo, ObjectMeta } from '../../api/index.ts';
import { applyConfiguration, sameManagers, trackUpdate, type WriteManager } from './apply/index.ts';
import { admitService } from './cluster-ip.ts';
import { admitDefinition, refuseWhileTerminating } from './custom/definition.ts';
import type { JsonObject } from './merge-patch.ts';
import type { DeleteChoice } from './delete-options.ts';
import { restrictNodeWrite } from './node-restriction.ts';
import { dropUnknownFields, jsonEqual, type ApiObject, type FieldValidation } from './object-fields.ts';
import { admitNewPod, admitPodUpdate } from './pods/index.ts';
import { checkDeletePreconditions, isReleased, prepareCreate, prepareUpdate, timestamp } from './object-rules.ts';
import { groupVersion, objectInVersion, storageOf } from './served-kinds.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound } from './status-error.ts';
import type { Stored, Transaction } from './store.ts';
import { refuseEscalation } from './rbac/escalation.ts';
import type { RbacAuthorizer } from './rbac/authorizer.ts';
import type { User } from './user.ts';

export interface WriteContext {
  readonly kind: KindInfo;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly user: User;
  readonly authorizer: RbacAuthorizer;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly nowMs: number;
  readonly validation: FieldValidation;
  /** The field manager of the write. */
  readonly manager: string;
  readonly dryRun: boolean;
  /** IP families that Services can have; absent: both. */
  readonly serviceFamilies?: readonly ('IPv4' | 'IPv6')[];
  /** Called for what the client should know but is no refusal. */
  readonly warn: (message: string) => void;
}

/** What an update or delete left: the stored object, or its last state when it is gone. */
export interface WriteOutcome {
  readonly stored: Stored;
  readonly gone: boolean;
}

const namespaceStorage = 'namespaces';
const foregroundFinalizer = 'foregroundDeletion';
const protectedNamespaces = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

/** Throws the Status errors of Kubernetes: 400, 403, 404, 409, 422. */
export function createObject(tx: Transaction, context: WriteContext, sent: ApiObject): Stored {
  const { kind } = context;
  const { rest, managedFields } = splitManagedFields(sent);
  const cleaned = withIdentity(context, dropUnknownFields(kind, rest, context.validation, context.warn), undefined);
  requireNamespace(tx, context, cleaned.metadata.name ?? '');
  const object = kind.defaults(cleaned) as ApiObject;
  const tracked = { kind, before: undefined, after: object, sent: managedFields };
  return storeNew(tx, context, object, trackUpdate(tracked, managerOf(context, '')));
}

/** Server-side apply: creates the object, or merges the configuration into it. */
export function applyObject(
  tx: Transaction,
  context: WriteContext,
  target: { readonly name: string; readonly subresource: string },
  config: { readonly object: JsonObject; readonly force: boolean },
): WriteOutcome & { readonly created: boolean } {
  const { kind, namespace } = context;
  const { name, subresource } = target;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (!existing && subresource !== '') throw notFound(kind, name);
  const by = managerOf(context, subresource);
  const apply = (live: ApiObject | undefined): ApiObject =>
    applyConfiguration({ kind, live, config: config.object, force: config.force }, by);
  if (existing) {
    return { ...updateObject(tx, context, target, apply, 'applied'), created: false };
  }
  const { group, plural } = kind;
  context.authorizer.authorize(context.user, { verb: 'create', group, resource: plural, subresource, namespace, name });
  const { rest, managedFields } = splitManagedFields(apply(undefined));
  const cleaned = withIdentity(context, dropUnknownFields(kind, rest, 'Ignore', context.warn), name);
  if (cleaned.metadata.uid) {
    const why = `uid mismatch: the provided object specified uid ${cleaned.metadata.uid}, and no existing object was found`;
    throw conflict(kind, name, why);
  }
  requireNamespace(tx, context, name);
  const stored = storeNew(tx, context, kind.defaults(cleaned) as ApiObject, managedFields);
  return { stored, gone: false, created: true };
}

/** Completes, admits, validates and stores an object that nobody stored yet. */
function storeNew(
  tx: Transaction,
  context: WriteContext,
  object: ApiObject,
  managedFields: ObjectMeta['managedFields'],
): Stored {
  const { kind, namespace } = context;
  const isTaken = (name: string): boolean => tx.get(storageOf(kind), namespace, name) !== undefined;
  prepareCreate(kind, object, context.nowMs, isTaken);
  const name = object.metadata.name ?? '';
  // As in Kubernetes, before NodeRestriction has its say.
  if (kind.group === '' && kind.kind === 'Pod') admitNewPod(tx, object);
  restrictNodeWrite(tx, { user: context.user, resource: kind, name, after: object });
  if (kind.createWarning !== undefined) context.warn(kind.createWarning);
  const taken = tx.get(storageOf(kind), namespace, name);
  if (taken) throw alreadyExists(kind, name, taken.object.metadata.deletionTimestamp !== undefined);
  admit(tx, context, object, undefined);
  validate(kind, object, undefined);
  refuseEscalation(context.authorizer, { user: context.user, kind, object });
  if (managedFields) object.metadata.managedFields = managedFields;
  return store(tx, context, object, undefined);
}

/**
 * Stores what `change` makes of the stored object, which it must not change. `applied`: what it returns has its owners in
 * managedFields already; else they are found by comparison.
 */
export function updateObject(
  tx: Transaction,
  context: WriteContext,
  target: { readonly name: string; readonly subresource: string },
  change: (current: ApiObject) => ApiObject,
  owners: 'applied' | 'compared' = 'compared',
): WriteOutcome {
  const { kind, namespace } = context;
  const { name, subresource } = target;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (!existing) throw notFound(kind, name);
  const before = (kind.onStore ? objectInVersion(existing.object, kind) : existing.object) as ApiObject;
  const current = objectInVersion(existing.object, kind) as ApiObject;
  const { rest, managedFields } = splitManagedFields(change(current));
  const cleaned = withIdentity(context, dropUnknownFields(kind, rest, context.validation, context.warn), name);
  const merged = prepareUpdate(kind, before, cleaned, subresource);
  const isWhole = subresource === '' || subresource === 'scale';
  const object = isWhole ? (kind.defaults(merged) as ApiObject) : merged;
  const entries =
    owners === 'applied'
      ? managedFields
      : trackUpdate({ kind, before, after: object, sent: managedFields }, managerOf(context, subresource));
  restrictNodeWrite(tx, { user: context.user, resource: kind, name, before, after: object });
  if (isWhole) admit(tx, context, object, before);
  validate(kind, object, before);
  refuseEscalation(context.authorizer, { user: context.user, kind, object, before });
  delete object.metadata.managedFields;
  if (entries) object.metadata.managedFields = entries;
  if (isReleased(object)) {
    const { resourceVersion = '' } = tx.remove(storageOf(kind), namespace, name).object.metadata;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion } };
    return { stored: { ...existing, object: last, json: JSON.stringify(last) }, gone: true };
  }
  if (isNoChange(before, object)) return { stored: existing, gone: false };
  return { stored: store(tx, context, object, before), gone: false };
}

/** Puts the object; a dry run shows it without a revision of its own. */
function store(tx: Transaction, context: WriteContext, object: ApiObject, before: ApiObject | undefined): Stored {
  const stored = tx.put(storageOf(context.kind), context.kind.onStore?.(object) ?? object);
  if (!context.dryRun) return stored;
  const { resourceVersion: _, ...metadata } = object.metadata;
  const version = before?.metadata.resourceVersion;
  const shown = { ...object, metadata: { ...metadata, ...(version !== undefined && { resourceVersion: version }) } };
  return { ...stored, object: shown, json: JSON.stringify(shown) };
}

/** Whether nothing but times of managedFields differ: such a write is none. */
function isNoChange(before: ApiObject, after: ApiObject): boolean {
  const [old, next] = [splitManagedFields(before), splitManagedFields(after)];
  return jsonEqual(old.rest, next.rest) && sameManagers(old.managedFields, next.managedFields);
}

function splitManagedFields(object: ApiObject): { rest: ApiObject; managedFields: ObjectMeta['managedFields'] } {
  const { managedFields, ...metadata } = object.metadata;
  return { rest: { ...object, metadata }, managedFields };
}

function managerOf({ kind, manager, nowMs }: WriteContext, subresource: string): WriteManager {
  const apiVersion = groupVersion(kind.group, kind.version);
  // Kubernetes gives the managers of a scale no time.
  return { name: manager, apiVersion, subresource, now: subresource === 'scale' ? undefined : timestamp(nowMs) };
}

/** Removes the object, or marks it deleted while finalizers or a grace period hold it. */
export function deleteObject(tx: Transaction, context: WriteContext, name: string, choice: DeleteChoice): WriteOutcome {
  const { kind, namespace } = context;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (!existing) throw notFound(kind, name);
  const before = existing.object as ApiObject;
  checkDeletePreconditions(kind, before, choice.preconditions);
  restrictNodeWrite(tx, { user: context.user, resource: kind, name, before });
  const isNamespace = kind.group === '' && kind.kind === 'Namespace';
  if (isNamespace && protectedNamespaces.has(name)) throw forbidden(kind, name, 'this namespace may not be deleted');
  if (choice.propagation === 'Orphan') orphanDependents(tx, before.metadata.uid ?? '');

  const graceSeconds = gracePeriodOf(kind, before, choice.gracePeriodSeconds);
  const { metadata } = before;
  const deletion = {
    deletionTimestamp:
      metadata.deletionTimestamp !== undefined && (metadata.deletionGracePeriodSeconds ?? 0) <= graceSeconds
        ? metadata.deletionTimestamp
        : timestamp(context.nowMs + graceSeconds * 1000),
    deletionGracePeriodSeconds: Math.min(graceSeconds, metadata.deletionGracePeriodSeconds ?? graceSeconds),
  };
  const generation =
    metadata.deletionTimestamp === undefined && metadata.generation !== undefined
      ? metadata.generation + 1
      : metadata.generation;
  const finalizers = finalizersOfDelete(metadata.finalizers, choice);
  const { finalizers: _, ...rest } = metadata;
  const object: ApiObject = {
    ...before,
    metadata: {
      ...rest,
      ...(finalizers && { finalizers }),
      ...deletion,
      ...(generation !== undefined && { generation }),
    },
    ...(isNamespace && { status: { ...before.status, phase: 'Terminating' } }),
  };
  if (isReleased(object)) return { stored: tx.remove(storageOf(kind), namespace, name), gone: true };
  if (jsonEqual(before, object)) return { stored: existing, gone: false };
  return { stored: tx.put(storageOf(kind), object), gone: false };
}

/** Foreground: the garbage collector holds the object until what it owns is gone. Dependents are orphaned at once here. */
function finalizersOfDelete(finalizers: readonly string[] | undefined, choice: DeleteChoice): string[] | undefined {
  if (choice.propagation === undefined) return finalizers && [...finalizers];
  const kept = (finalizers ?? []).filter((name) => name !== foregroundFinalizer);
  if (choice.propagation === 'Foreground') kept.push(foregroundFinalizer);
  return kept.length === 0 ? undefined : kept;
}

/** Fills apiVersion, kind, namespace and name from the request, or refuses what contradicts it. Returns a copy. */
function withIdentity(context: WriteContext, object: ApiObject, name: string | undefined): ApiObject {
  const { kind, namespace } = context;
  const metadata = { ...object.metadata };
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest(
      namespace === ''
        ? `${kind.kind} is cluster-scoped and has no namespace`
        : `the namespace of the provided object does not match the namespace sent on the request`,
    );
  }
  if (namespace === '') delete metadata.namespace;
  else metadata.namespace = namespace;
  if (name !== undefined) {
    if (metadata.name && metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    }
    if (!metadata.name) {
      throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
    }
  }
  const version = kind.versions[0] ?? kind.version;
  return { ...object, apiVersion: kind.group === '' ? version : `${kind.group}/${version}`, kind: kind.kind, metadata };
}

function requireNamespace(tx: Transaction, context: WriteContext, name: string): void {
  const { kind, namespace } = context;
  if (namespace === '') return;
  const found = tx.get(namespaceStorage, '', namespace);
  if (!found) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (found.object.metadata.deletionTimestamp === undefined) return;
  throw forbidden(kind, name, `unable to create new content in namespace ${namespace} because it is being terminated`, [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ]);
}

/** Admission: what depends on other objects. Changes `object`. */
function admit(tx: Transaction, context: WriteContext, object: ApiObject, before: ApiObject | undefined): void {
  const { kind } = context;
  if (kind.isCustom && !before) refuseWhileTerminating(tx, kind);
  if (kind.group === 'apiextensions.k8s.io') admitDefinition(tx, object, before, context.nowMs);
  if (kind.group !== '') return;
  if (kind.kind === 'Service') {
    const services = tx.list('services').map((stored) => stored.object as ApiObject);
    const { serviceFamilies: families } = context;
    admitService({ service: object, ...(before && { before }), services, ...(families && { families }) });
  }
  if (kind.kind === 'Pod' && before) admitPodUpdate(object, before);
}

function validate(kind: KindInfo, object: ApiObject, before: ApiObject | undefined): void {
  const errors = kind.validate(object, before && { old: before });
  if (errors.length === 0) return;
  const causes = errors.map(({ path, reason, message }) => ({ reason, message, field: path }));
  throw invalid(kind.group, kind.kind, object.metadata.name ?? '', causes);
}

/** Only pods that a node runs get time to end. */
function gracePeriodOf(kind: KindInfo, object: ApiObject, wanted: number | undefined): number {
  if (kind.group !== '' || kind.kind !== 'Pod') return 0;
  const phase = object.status?.['phase'];
  if (!object.spec?.['nodeName'] || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = object.spec['terminationGracePeriodSeconds'];
  return Math.max(0, wanted ?? (typeof own === 'number' ? own : 30));
}

function orphanDependents(tx: Transaction, ownerUid: string): void {
  for (const resource of tx.resources()) {
    for (const { object } of tx.list(resource)) {
      const owners = object.metadata.ownerReferences ?? [];
      if (!owners.some((owner) => owner.uid === ownerUid)) continue;
      const ownerReferences = owners.filter((owner) => owner.uid !== ownerUid);
      tx.put(resource, { ...object, metadata: { ...object.metadata, ownerReferences } });
    }
  }
}
