/** What a StatefulSet does next with its pods: decisions only (`pkg/controller/statefulset/stateful_set_control.go`). */
import type { ControllerRevision, Pod, StatefulSet, StatefulSetStatus } from '../../api/index.ts';
import { isFinished, isReady, untilAvailableMs } from './ownership.ts';
import { podRevisionLabel } from './revisions.ts';
import { share } from './rollout.ts';

export interface StatefulInput {
  readonly set: StatefulSet;
  /** The pods that it owns. */
  readonly pods: readonly Pod[];
  /** Of pods below the partition, and of all pods before a rollout. */
  readonly current: ControllerRevision;
  /** Of the template as it is now. */
  readonly update: ControllerRevision;
  readonly nowMs: number;
}

export interface StatefulPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: ControllerRevision }[];
  readonly remove: readonly Pod[];
}

/**
 * The next step. With OrderedReady that is one pod at a time, from the lowest ordinal up, and nothing while a pod is not
 * ready or still going; with Parallel all at once. Pods beyond the replicas go from the highest ordinal down, then an update
 * replaces old pods from the highest ordinal down to the partition, as many at a time as may be unavailable.
 */
export function planStatefulSet(input: StatefulInput): StatefulPlan {
  const { set, pods } = input;
  const isParallel = set.spec.podManagementPolicy === 'Parallel';
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const create: { ordinal: number; revision: ControllerRevision }[] = [];
  const remove: Pod[] = [];
  const plan = { create, remove };
  for (const ordinal of ordinals(set)) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) create.push({ ordinal, revision: revisionFor(input, ordinal) });
    else if (isFinished(pod) && !pod.metadata.deletionTimestamp) remove.push(pod);
    else if (isAvailable(input, pod)) continue;
    if (!isParallel) return plan;
  }
  const wanted = new Set(ordinals(set));
  const condemned = [...byOrdinal].filter(([ordinal]) => !wanted.has(ordinal)).toSorted(([a], [b]) => b - a);
  const firstUnhealthy = [...byOrdinal].toSorted(([a], [b]) => a - b).find(([, pod]) => !isAvailable(input, pod))?.[1];
  for (const [, pod] of condemned) {
    if (pod.metadata.deletionTimestamp) {
      if (!isParallel) return plan;
      continue;
    }
    if (!isParallel && !isAvailable(input, pod) && pod !== firstUnhealthy) return plan;
    remove.push(pod);
    if (!isParallel) return plan;
  }
  if (create.length > 0 || remove.length > 0 || set.spec.updateStrategy?.type === 'OnDelete') return plan;
  return { create, remove: planUpdate(input, byOrdinal) };
}

function planUpdate(input: StatefulInput, byOrdinal: ReadonlyMap<number, Pod>): Pod[] {
  const { set, update } = input;
  const { partition = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const victims: Pod[] = [];
  let room = Math.max(1, share(maxUnavailable, set.spec.replicas ?? 1, Math.ceil));
  for (const ordinal of ordinals(set).toReversed()) {
    if (ordinal < partition + startOf(set) || room === 0) break;
    const pod = byOrdinal.get(ordinal);
    if (!pod) continue;
    const isOld = revisionOf(pod) !== update.metadata.name;
    if (isOld && !pod.metadata.deletionTimestamp) victims.push(pod);
    else if (isAvailable(input, pod)) continue;
    room--;
  }
  return victims;
}

/** The status, from the pods as they are. */
export function statefulStatus(input: StatefulInput): StatefulSetStatus {
  const { set, pods, current, update } = input;
  const { name: currentName = '' } = current.metadata;
  const { name: updateName = '' } = update.metadata;
  const living = pods.filter((pod) => !pod.metadata.deletionTimestamp);
  const count = (which: readonly Pod[], test: (pod: Pod) => boolean): number => which.filter(test).length;
  const status = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: count(pods, (pod) => isRunning(pod) && isReady(pod)),
    availableReplicas: count(pods, (pod) => isRunning(pod) && untilAvailable(input, pod) === 0),
    currentReplicas: count(living, (pod) => revisionOf(pod) === currentName),
    updatedReplicas: count(living, (pod) => revisionOf(pod) === updateName),
    currentRevision: currentName,
    updateRevision: updateName,
    collisionCount: set.status?.collisionCount ?? 0,
  };
  const isRolling = set.spec.updateStrategy?.type !== 'OnDelete';
  const isDone = status.updatedReplicas === status.replicas && status.readyReplicas === status.replicas;
  if (!isRolling || !isDone || status.replicas !== (set.spec.replicas ?? 1)) return status;
  return { ...status, currentReplicas: status.updatedReplicas, currentRevision: updateName };
}

/** Milliseconds until the next pod becomes available by time alone. */
export function untilNextAvailableMs(input: StatefulInput): number | undefined {
  const waits = input.pods.map((pod) => untilAvailable(input, pod) ?? 0).filter((wait) => wait > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

/** The ordinal in the pod's name; -1 for a pod with another name. */
export function ordinalOf(set: StatefulSet, pod: Pod): number {
  const { name = '' } = pod.metadata;
  const prefix = `${set.metadata.name}-`;
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^\d+$/.test(rest) ? Number(rest) : -1;
}

function ordinals(set: StatefulSet): number[] {
  return Array.from({ length: set.spec.replicas ?? 1 }, (_, i) => startOf(set) + i);
}

function startOf(set: StatefulSet): number {
  return set.spec.ordinals?.start ?? 0;
}

function revisionFor({ set, current, update }: StatefulInput, ordinal: number): ControllerRevision {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  const isKept = type !== 'OnDelete' && ordinal < startOf(set) + (rollingUpdate?.partition ?? 0);
  return isKept ? current : update;
}

function revisionOf(pod: Pod): string | undefined {
  return pod.metadata.labels?.[podRevisionLabel];
}

function isRunning(pod: Pod): boolean {
  return pod.status?.phase === 'Running';
}

function isAvailable(input: StatefulInput, pod: Pod): boolean {
  return !pod.metadata.deletionTimestamp && isRunning(pod) && untilAvailable(input, pod) === 0;
}

function untilAvailable({ set, nowMs }: StatefulInput, pod: Pod): number | undefined {
  return untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, nowMs);
}
