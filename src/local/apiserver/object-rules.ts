/** What the API server itself writes into objects: metadata, status, finalizers; and which part of an update counts. */
import { randomInt, randomUUID } from 'node:crypto';
import type { KindInfo, ObjectMeta } from '../../api/index.ts';
import { isJsonObject, type JsonObject } from './merge-patch.ts';
import { jsonEqual, type ApiObject } from './object-fields.ts';
import { badRequest, conflict, invalid } from './status-error.ts';

/** `2024-01-31T09:00:00Z`: `metav1.Time` has whole seconds. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Sets everything of a new object that the client does not decide; a generated name is one that is not taken. Changes `object`. */
export function prepareCreate(
  kind: KindInfo,
  object: ApiObject,
  nowMs: number,
  isTaken: (name: string) => boolean,
): void {
  const { metadata } = object;
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (!metadata.name && metadata.generateName) metadata.name = generateName(metadata.generateName, isTaken);
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete (metadata as ObjectMeta & { selfLink?: string }).selfLink;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(nowMs);
  if (hasGeneration(kind)) metadata.generation = 1;
  else delete metadata.generation;
  // A kubelet registers its Node with a status; for every other kind the status is the controllers' to write.
  if (kind.hasStatus && kind.kind !== 'Node') delete object.status;
  kind.onCreate?.(object);
  if (kind.group !== '') return;
  if (kind.kind === 'Pod') object.status = { phase: 'Pending', qosClass: qosClassOf(object) };
  if (kind.kind === 'Service') object.status = { loadBalancer: {} };
  if (kind.kind === 'Namespace') {
    object.status = { phase: 'Active' };
    object.spec = { finalizers: ['kubernetes'] };
    metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name ?? '' };
  }
}

/**
 * Combines what the client sent with what it may not change through this (sub)resource. Returns the object to store, whose
 * resourceVersion is that of `before`.
 */
export function prepareUpdate(kind: KindInfo, before: ApiObject, sent: ApiObject, subresource: string): ApiObject {
  checkPreconditions(kind, before, { uid: sent.metadata.uid, resourceVersion: sent.metadata.resourceVersion });
  refuseNewFinalizers(kind, before, sent);
  const result = mergeParts(kind, before, sent, subresource);
  const own = before.metadata;
  const { metadata } = result;
  for (const field of [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
  ] as const) {
    if (own[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: own[field] });
  }
  if (kind.kind === 'Namespace' && kind.group === '') {
    metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name ?? '' };
  }
  if (
    own.generation !== undefined &&
    subresource !== 'status' &&
    !jsonEqual(desiredPart(before), desiredPart(result))
  ) {
    metadata.generation = own.generation + 1;
  }
  return result;
}

/** Throws 409 when `before` is not what the client thinks it is. */
function checkPreconditions(
  kind: KindInfo,
  before: ApiObject,
  expected: { uid?: string | undefined; resourceVersion?: string | undefined },
): void {
  const { uid, resourceVersion, name = '' } = before.metadata;
  if (expected.uid !== undefined && expected.uid !== '' && expected.uid !== uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${expected.uid}, UID in object meta: ${uid}`);
  }
  if (expected.resourceVersion && expected.resourceVersion !== '0' && expected.resourceVersion !== resourceVersion) {
    throw conflict(
      kind,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  }
}

/** What is being deleted may only lose finalizers. */
function refuseNewFinalizers(kind: KindInfo, before: ApiObject, sent: ApiObject): void {
  if (before.metadata.deletionTimestamp === undefined) return;
  const added = (sent.metadata.finalizers ?? []).filter((name) => !before.metadata.finalizers?.includes(name));
  if (added.length === 0) return;
  const list = added.map((name) => JSON.stringify(name)).join(', ');
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  throw invalid(kind.group, kind.kind, before.metadata.name ?? '', [
    { reason: 'FieldValueForbidden', field: 'metadata.finalizers', message },
  ]);
}

/** As `checkPreconditions`, in the words of a delete. */
export function checkDeletePreconditions(
  kind: KindInfo,
  before: ApiObject,
  expected: { uid?: string; resourceVersion?: string },
): void {
  const { uid = '', resourceVersion = '', name = '' } = before.metadata;
  const object = { group: kind.group, plural: kind.kind };
  if (expected.uid !== undefined && expected.uid !== uid) {
    const why = `the UID in the precondition (${expected.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
    throw conflict(object, name, why);
  }
  if (expected.resourceVersion !== undefined && expected.resourceVersion !== resourceVersion) {
    const why = `the ResourceVersion in the precondition (${expected.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`;
    throw conflict(object, name, why);
  }
}

/** Whether a deleted object has nothing left that holds it. */
export function isReleased(object: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0 || deletionGracePeriodSeconds > 0) return false;
  const inner = object.kind === 'Namespace' ? object.spec?.['finalizers'] : undefined;
  return !Array.isArray(inner) || inner.length === 0;
}

function mergeParts(kind: KindInfo, before: ApiObject, sent: ApiObject, subresource: string): ApiObject {
  switch (subresource) {
    case 'status': {
      // Pods and Nodes also take labels and annotations through their status, as kubelet and CNI agents rely on.
      const takesMetadata = kind.group === '' && (kind.kind === 'Pod' || kind.kind === 'Node');
      const { labels, annotations } = sent.metadata;
      const metadata = { ...before.metadata };
      if (takesMetadata) {
        Object.assign(metadata, { labels, annotations });
        if (labels === undefined) delete metadata.labels;
        if (annotations === undefined) delete metadata.annotations;
      }
      const result: ApiObject = { ...before, metadata };
      if (sent.status === undefined) delete result.status;
      else result.status = sent.status;
      return result;
    }
    case 'finalize':
      return { ...before, metadata: { ...before.metadata }, ...(sent.spec && { spec: sent.spec }) };
    default: {
      const result: ApiObject = { ...sent, metadata: { ...sent.metadata } };
      if (kind.kind === 'Namespace' && kind.group === '' && before.spec) result.spec = before.spec;
      if (!kind.hasStatus) return result;
      if (before.status === undefined) delete result.status;
      else result.status = before.status;
      return result;
    }
  }
}

/** Everything but metadata and status. */
function desiredPart(object: ApiObject): Record<string, unknown> {
  const { metadata: _metadata, status: _status, apiVersion: _apiVersion, ...rest } = object;
  return rest;
}

/** Kinds that are data, not desired state, have no generation in Kubernetes. */
function hasGeneration(kind: KindInfo): boolean {
  if (['ControllerRevision', 'HorizontalPodAutoscaler'].includes(kind.kind) && !kind.isCustom) return false;
  if (kind.group === 'events.k8s.io') return false;
  return !(kind.group === '' && kind.kind !== 'Pod');
}

/** Guaranteed: every container limits cpu and memory and requests just that. BestEffort: none says anything. */
function qosClassOf(pod: ApiObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const lists = ['containers', 'initContainers'].map((field) => pod.spec?.[field]);
  const resources = lists
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .map((container) =>
      isJsonObject(container) && isJsonObject(container['resources']) ? container['resources'] : {},
    );
  const amounts = (of: JsonObject, field: string): JsonObject => (isJsonObject(of[field]) ? of[field] : {});
  const isSet = (of: JsonObject): boolean => ['cpu', 'memory'].some((name) => of[name] !== undefined);
  if (!resources.some((one) => isSet(amounts(one, 'limits')) || isSet(amounts(one, 'requests')))) return 'BestEffort';
  const isGuaranteed = resources.every((one) => {
    const limits = amounts(one, 'limits');
    const requests = { ...limits, ...amounts(one, 'requests') };
    return ['cpu', 'memory'].every((name) => limits[name] !== undefined && requests[name] === limits[name]);
  });
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}

/** Tries eight names, as Kubernetes does; the last one may be taken. */
export function generateName(prefix: string, isTaken: (name: string) => boolean): string {
  let name = '';
  for (let attempt = 0; attempt < 8; attempt++) {
    name = prefix.slice(0, 58) + randomSuffix();
    if (!isTaken(name)) break;
  }
  return name;
}

/** Letters that spell no words, as `k8s.io/apimachinery/pkg/util/rand`. */
function randomSuffix(): string {
  const letters = 'bcdfghjklmnpqrstvwxz2456789';
  return Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('');
}
