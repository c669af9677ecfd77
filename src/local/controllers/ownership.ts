/** Who owns an object, and what pods of a workload are worth. */
import { apiVersionOf, type KindRef, type KubeObject, type OwnerReference, type Pod } from '../../api/index.ts';

/** The owner that manages the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

export function controllerReference(kind: KindRef, owner: KubeObject): OwnerReference {
  const { name = '', uid = '' } = owner.metadata;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Neither ended nor on its way out: it counts as one of the replicas. */
export function isActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod);
}

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** Milliseconds until the pod has been ready for long enough; 0 when it has, undefined when it is not ready. */
export function untilAvailableMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const ready = pod.status?.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True');
  if (!ready) return undefined;
  const sinceMs = Date.parse(ready.lastTransitionTime ?? '');
  if (minReadySeconds === 0 || Number.isNaN(sinceMs)) return 0;
  return Math.max(0, sinceMs + minReadySeconds * 1000 - nowMs);
}
