/** The status of a Deployment, from its ReplicaSets: counts, and the conditions Available and Progressing. */
import type { CoreCondition, Deployment, DeploymentStatus, ReplicaSet } from '../../api/index.ts';
import { timestamp } from './cluster.ts';
import { rolloutLimits } from './rollout.ts';

export interface StatusInput {
  readonly deployment: Deployment;
  /** Absent before it was made, and while a Recreate waits. */
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  /** Pods on their way out. */
  readonly terminating: number;
  readonly nowMs: number;
}

export function deploymentStatus(input: StatusInput): DeploymentStatus {
  const { deployment, current, old, terminating, nowMs } = input;
  const sets = current ? [current, ...old] : old;
  const sum = (count: (set: ReplicaSet) => number | undefined): number =>
    sets.reduce((total, set) => total + (count(set) ?? 0), 0);
  const replicas = sum(({ status }) => status?.replicas);
  const available = sum(({ status }) => status?.availableReplicas);
  const wanted = sum(({ spec }) => spec.replicas);
  const counts = {
    replicas,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, wanted - available),
    terminatingReplicas: terminating,
  };
  return {
    ...counts,
    observedGeneration: deployment.metadata.generation ?? 0,
    ...(deployment.status?.collisionCount !== undefined && { collisionCount: deployment.status.collisionCount }),
    conditions: conditionsOf(input, counts, nowMs),
  };
}

/** Milliseconds until the rollout counts as stuck; undefined when it is done, paused, or stuck already. */
export function untilStuckMs({ spec, status }: Deployment, next: DeploymentStatus, nowMs: number): number | undefined {
  const progressing = next.conditions?.find(({ type }) => type === 'Progressing');
  const waits = progressing?.reason === 'ReplicaSetUpdated' || progressing?.reason === 'NewReplicaSetCreated';
  if (!waits || spec.paused || !status) return undefined;
  const sinceMs = Date.parse(progressing.lastUpdateTime ?? '');
  return Math.max(0, sinceMs + (spec.progressDeadlineSeconds ?? 600) * 1000 - nowMs) + 1000;
}

function conditionsOf(input: StatusInput, counts: DeploymentStatus, nowMs: number): CoreCondition[] {
  const { deployment } = input;
  const { replicas, unavailable } = rolloutLimits(deployment);
  const enough = (counts.availableReplicas ?? 0) >= replicas - unavailable;
  const wanted: CoreCondition[] = [
    enough
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    progressOf(input, counts, replicas, nowMs),
  ];
  const before = deployment.status?.conditions ?? [];
  const kept = before.filter(({ type }) => !wanted.some((condition) => condition.type === type));
  return [
    ...wanted.map((condition) =>
      withTimes(
        condition,
        before.find(({ type }) => type === condition.type),
        moved(deployment.status, counts),
        nowMs,
      ),
    ),
    ...kept,
  ];
}

function progressOf(
  { deployment, current }: StatusInput,
  counts: DeploymentStatus,
  replicas: number,
  nowMs: number,
): CoreCondition {
  const before = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  const subject = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (deployment.spec.paused)
    return { type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' };
  const complete =
    counts.updatedReplicas === replicas && counts.replicas === replicas && counts.availableReplicas === replicas;
  if (complete && current)
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `${subject} has successfully progressed.`,
    };
  const generationSeen = deployment.status?.observedGeneration === deployment.metadata.generation;
  const sinceMs = Date.parse(before?.lastUpdateTime ?? '');
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  const still =
    generationSeen &&
    !moved(deployment.status, counts) &&
    before?.reason !== 'NewReplicaSetAvailable' &&
    before?.reason !== 'DeploymentPaused';
  if (still && (before?.reason === 'ProgressDeadlineExceeded' || nowMs - sinceMs > deadlineMs)) {
    return {
      type: 'Progressing',
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `${subject} has timed out progressing.`,
    };
  }
  // Once rolled out, pods that come and go do not start the deadline again.
  if (
    generationSeen &&
    before?.reason === 'NewReplicaSetAvailable' &&
    counts.updatedReplicas === counts.replicas &&
    current
  ) {
    return { type: 'Progressing', status: 'True', reason: before.reason, message: before.message ?? '' };
  }
  return { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message: `${subject} is progressing.` };
}

/** Whether pods came nearer to the goal since the status was written. */
function moved(before: DeploymentStatus | undefined, now: DeploymentStatus): boolean {
  if (!before) return true;
  const more = (name: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas'): boolean =>
    (now[name] ?? 0) > (before[name] ?? 0);
  const oldOnes = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    more('updatedReplicas') || more('readyReplicas') || more('availableReplicas') || oldOnes(now) < oldOnes(before)
  );
}

function withTimes(
  condition: CoreCondition,
  before: CoreCondition | undefined,
  isMoved: boolean,
  nowMs: number,
): CoreCondition {
  const now = timestamp(nowMs);
  const same = before?.status === condition.status && before.reason === condition.reason;
  const updated = same && !(condition.type === 'Progressing' && isMoved) ? (before.lastUpdateTime ?? now) : now;
  const transition = before?.status === condition.status ? (before.lastTransitionTime ?? now) : now;
  return { ...condition, lastUpdateTime: updated, lastTransitionTime: transition };
}
