/** Create, update and delete as plans over a store transaction: admission, validation, then the change. */
import type { KindInfo } from '../../api/index.ts';
import { assignClusterIp } from './cluster-ip.ts';
import { admitDefinition, refuseWhileTerminating } from './custom/definition.ts';
import { restrictNodeWrite } from './node-restriction.ts';
import { dropUnknownFields, jsonEqual, type ApiObject, type FieldValidation } from './object-fields.ts';
import { checkPreconditions, isReleased, prepareCreate, prepareUpdate, timestamp } from './object-rules.ts';
import { storageOf } from './served-kinds.ts';
import { alreadyExists, badRequest, forbidden, invalid, notFound } from './status-error.ts';
import type { Stored, Transaction } from './store.ts';
import type { User } from './user.ts';

export interface WriteContext {
  readonly kind: KindInfo;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly user: User;
  readonly nowMs: number;
  readonly validation: FieldValidation;
  /** Called for what the client should know but is no refusal. */
  readonly warn: (message: string) => void;
}

export interface DeleteChoice {
  readonly gracePeriodSeconds?: number;
  readonly orphan: boolean;
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
}

/** What an update or delete left: the stored object, or its last state when it is gone. */
export interface WriteOutcome {
  readonly stored: Stored;
  readonly gone: boolean;
}

const namespaceStorage = 'namespaces';
const protectedNamespaces = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);
const podKind = { group: '', plural: 'pods' };

/** Throws the Status errors of Kubernetes: 400, 403, 404, 409, 422. */
export function createObject(tx: Transaction, context: WriteContext, sent: ApiObject): Stored {
  const { kind, namespace } = context;
  const cleaned = withIdentity(context, dropUnknownFields(kind, sent, context.validation, context.warn), undefined);
  requireNamespace(tx, context, cleaned.metadata.name ?? '');
  prepareCreate(kind, cleaned, context.nowMs);
  const object = kind.defaults(cleaned) as ApiObject;
  const name = object.metadata.name ?? '';
  restrictNodeWrite({ user: context.user, resource: kind, name, after: object });
  if (tx.get(storageOf(kind), namespace, name)) throw alreadyExists(kind, name);
  admit(tx, context, object, undefined);
  validate(kind, object, undefined);
  return tx.put(storageOf(kind), object);
}

/** Runs `change` on a copy of the stored object (with the requested apiVersion) and stores what it returns. */
export function updateObject(
  tx: Transaction,
  context: WriteContext,
  target: { readonly name: string; readonly subresource: string },
  change: (current: ApiObject) => ApiObject,
): WriteOutcome {
  const { kind, namespace } = context;
  const { name, subresource } = target;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (!existing) throw notFound(kind, name);
  const before = existing.object as ApiObject;
  const sent = change(structuredClone(before));
  const cleaned = withIdentity(context, dropUnknownFields(kind, sent, context.validation, context.warn), name);
  const merged = prepareUpdate(kind, before, cleaned, subresource);
  const object = subresource === '' ? (kind.defaults(merged) as ApiObject) : merged;
  restrictNodeWrite({ user: context.user, resource: kind, name, before, after: object });
  if (subresource === '') admit(tx, context, object, before);
  validate(kind, object, before);
  if (isReleased(object)) return { stored: tx.remove(storageOf(kind), namespace, name), gone: true };
  if (jsonEqual(before, object)) return { stored: existing, gone: false };
  return { stored: tx.put(storageOf(kind), object), gone: false };
}

/** Removes the object, or marks it deleted while finalizers or a grace period hold it. */
export function deleteObject(tx: Transaction, context: WriteContext, name: string, choice: DeleteChoice): WriteOutcome {
  const { kind, namespace } = context;
  const existing = tx.get(storageOf(kind), namespace, name);
  if (!existing) throw notFound(kind, name);
  const before = existing.object as ApiObject;
  checkPreconditions(kind, before, choice.preconditions);
  restrictNodeWrite({ user: context.user, resource: kind, name, before });
  const isNamespace = kind.group === '' && kind.kind === 'Namespace';
  if (isNamespace && protectedNamespaces.has(name)) throw forbidden(kind, name, 'this namespace may not be deleted');
  if (choice.orphan) orphanDependents(tx, before.metadata.uid ?? '');

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
  const object: ApiObject = {
    ...before,
    metadata: { ...metadata, ...deletion, ...(generation !== undefined && { generation }) },
    ...(isNamespace && { status: { ...before.status, phase: 'Terminating' } }),
  };
  if (isReleased(object)) return { stored: tx.remove(storageOf(kind), namespace, name), gone: true };
  if (jsonEqual(before, object)) return { stored: existing, gone: false };
  return { stored: tx.put(storageOf(kind), object), gone: false };
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
    if (metadata.name !== undefined && metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    }
    metadata.name = name;
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
  const { kind, namespace } = context;
  if (kind.isCustom && !before) refuseWhileTerminating(tx, kind);
  if (kind.group === 'apiextensions.k8s.io') admitDefinition(tx, object, before, context.nowMs);
  if (kind.group !== '') return;
  if (kind.kind === 'Service') {
    const services = tx.list('services').map((stored) => stored.object as ApiObject);
    assignClusterIp({ service: object, ...(before && { before }), services });
  }
  if (kind.kind === 'Pod' && !before) admitServiceAccount(tx, context, object, namespace);
}

function admitServiceAccount(tx: Transaction, context: WriteContext, pod: ApiObject, namespace: string): void {
  const spec = (pod.spec ??= {});
  const given = spec['serviceAccountName'] ?? spec['serviceAccount'];
  const account = typeof given === 'string' && given !== '' ? given : 'default';
  spec['serviceAccountName'] = account;
  spec['serviceAccount'] = account;
  const isMirror = pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
  if (isMirror || tx.get('serviceaccounts', namespace, account)) return;
  if (account !== 'default') {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`;
    throw forbidden(podKind, pod.metadata.name ?? '', why);
  }
  // A namespace and a pod applied in one go: do not make the pod wait for the controller that adds `default`.
  const created: ApiObject = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
  prepareCreate(serviceAccountKind, created, context.nowMs);
  tx.put('serviceaccounts', created);
}

const serviceAccountKind = { group: '', kind: 'ServiceAccount', hasStatus: false } as KindInfo;

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
