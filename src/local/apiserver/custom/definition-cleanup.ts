/** Deleting a definition deletes its objects first; those with finalizers hold it. */
import { messageOf } from '../../../lib/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import type { JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';
import { isReleased, timestamp } from '../object-rules.ts';
import type { ObjectStore, Transaction } from '../store.ts';
import { cleanupFinalizer, crdStorage } from './definition.ts';

/** Follows deletions, also those that an earlier process began, until the returned function is called. */
export function startDefinitionCleanup(store: ObjectStore, clock: Clock, log: Log): () => void {
  /** What waits for objects with finalizers, by the name of the definition. */
  const waiting = new Map<string, () => void>();
  let closed = false;

  const clean = (name: string): void => {
    if (closed) return;
    store
      .write((tx) => step(tx, name, timestamp(clock.nowMs())))
      .then((state) => {
        if (closed || state !== 'waiting' || waiting.has(name)) return;
        waiting.set(
          name,
          store.watch(name, store.revision, ({ kind }) => kind === 'deleted' && setImmediate(clean, name)),
        );
        // What went between the write and the watch.
        clean(name);
      })
      .catch((error: unknown) => log.error('Cannot clean up a definition', { name, error: messageOf(error) }));
  };
  const look = (crd: ApiObject): void => {
    const { name = '', deletionTimestamp, finalizers = [] } = crd.metadata;
    if (deletionTimestamp !== undefined && finalizers.includes(cleanupFinalizer)) setImmediate(clean, name);
  };

  for (const { object } of store.list(crdStorage)) look(object as ApiObject);
  const stop = store.watch(crdStorage, store.revision, ({ kind, current }) => {
    const { name = '' } = current.object.metadata;
    if (kind !== 'deleted') return look(current.object as ApiObject);
    waiting.get(name)?.();
    waiting.delete(name);
  });
  return () => {
    closed = true;
    stop();
    for (const stopWaiting of waiting.values()) stopWaiting();
  };
}

/** Deletes what may go. Returns whether something with finalizers is still there. */
function step(tx: Transaction, name: string, now: string): 'waiting' | 'done' {
  const crd = tx.get(crdStorage, '', name)?.object as ApiObject | undefined;
  if (!crd?.metadata.finalizers?.includes(cleanupFinalizer)) return 'done';
  for (const { object } of tx.list(name)) {
    const { namespace = '', name: objectName = '', deletionTimestamp } = object.metadata;
    if ((object.metadata.finalizers ?? []).length === 0) tx.remove(name, namespace, objectName);
    else if (deletionTimestamp === undefined) {
      const metadata = { ...object.metadata, deletionTimestamp: now, deletionGracePeriodSeconds: 0 };
      tx.put(name, { ...object, metadata });
    }
  }
  if (tx.list(name).length > 0) {
    if (!hasCondition(crd, 'InstanceDeletionInProgress')) tx.put(crdStorage, terminating(crd, now));
    return 'waiting';
  }
  const finalizers = crd.metadata.finalizers.filter((finalizer) => finalizer !== cleanupFinalizer);
  const released: ApiObject = { ...crd, metadata: { ...crd.metadata, finalizers } };
  if (isReleased(released)) tx.remove(crdStorage, '', name);
  else tx.put(crdStorage, released);
  return 'done';
}

function conditionsOf(crd: ApiObject): JsonObject[] {
  const conditions = crd.status?.['conditions'];
  return Array.isArray(conditions) ? (conditions as JsonObject[]) : [];
}

function hasCondition(crd: ApiObject, reason: string): boolean {
  return conditionsOf(crd).some((each) => each['reason'] === reason);
}

function terminating(crd: ApiObject, now: string): ApiObject {
  const condition = {
    lastTransitionTime: now,
    message: 'CustomResource deletion is in progress',
    reason: 'InstanceDeletionInProgress',
    status: 'True',
    type: 'Terminating',
  };
  const others = conditionsOf(crd).filter((each) => each['type'] !== 'Terminating');
  return { ...crd, metadata: { ...crd.metadata }, status: { ...crd.status, conditions: [...others, condition] } };
}
