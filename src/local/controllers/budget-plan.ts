/** How many pods of a PodDisruptionBudget may go now: decisions only (`pkg/controller/disruption/disruption.go`). */
import {
  matchesSelector,
  type Condition,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
} from '../../api/index.ts';
import { timestamp } from './cluster.ts';
import { isFinished, isReady } from './ownership.ts';
import { share } from './rollout.ts';

/** An eviction that the pod does not follow by then is forgotten. */
const evictionTimeoutMs = 120_000;

export interface BudgetInput {
  readonly budget: PodDisruptionBudget;
  /** All pods of the namespace. */
  readonly pods: readonly Pod[];
  /** How many pods the controllers of these pods want, in all; undefined when one of them has no scale. */
  readonly expected: (pods: readonly Pod[]) => number | undefined;
  readonly nowMs: number;
}

/** The pods that a budget speaks of. No selector selects none, an empty one all. */
export function podsOfBudget({ spec }: PodDisruptionBudget, pods: readonly Pod[]): Pod[] {
  const { selector } = spec;
  return selector ? pods.filter((pod) => matchesSelector(pod.metadata.labels, selector)) : [];
}

export function budgetStatus(input: BudgetInput): PodDisruptionBudgetStatus {
  const { budget, nowMs } = input;
  const { minAvailable, maxUnavailable } = budget.spec;
  const pods = podsOfBudget(budget, input.pods).filter((pod) => !isFinished(pod));
  const disruptedPods = pendingEvictions(budget, pods, nowMs);
  const currentHealthy = pods.filter(
    (pod) => isReady(pod) && !pod.metadata.deletionTimestamp && disruptedPods[pod.metadata.name ?? ''] === undefined,
  ).length;
  const counts = { expected: pods.length, desired: 0 };
  // A share is one of the pods that there should be.
  const wanted = maxUnavailable !== undefined || typeof minAvailable === 'string' ? input.expected(pods) : pods.length;
  const failure =
    wanted === undefined ? 'found a pod whose controller does not implement the scale subresource' : undefined;
  if (maxUnavailable !== undefined) {
    counts.expected = wanted ?? 0;
    counts.desired = Math.max(0, counts.expected - share(maxUnavailable, counts.expected, Math.ceil));
  } else if (minAvailable !== undefined) {
    counts.expected = wanted ?? 0;
    counts.desired = share(minAvailable, counts.expected, Math.ceil);
  }
  const disruptionsAllowed =
    failure !== undefined || counts.expected === 0 ? 0 : Math.max(0, currentHealthy - counts.desired);
  return {
    observedGeneration: budget.metadata.generation ?? 0,
    currentHealthy,
    desiredHealthy: counts.desired,
    expectedPods: counts.expected,
    disruptionsAllowed,
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
    conditions: conditionsOf(budget, disruptionsAllowed, failure, nowMs),
  };
}

function pendingEvictions(budget: PodDisruptionBudget, pods: readonly Pod[], nowMs: number): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const pod = pods.find(({ metadata }) => metadata.name === name);
    if (pod && !pod.metadata.deletionTimestamp && Date.parse(time) + evictionTimeoutMs > nowMs) result[name] = time;
  }
  return result;
}

function conditionsOf(
  { metadata, status }: PodDisruptionBudget,
  allowed: number,
  failure: string | undefined,
  nowMs: number,
): Condition[] {
  const reason = failure !== undefined ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const is = allowed > 0 ? 'True' : 'False';
  const before = status?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const isSame = before?.status === is && before.reason === reason;
  const condition: Condition = {
    type: 'DisruptionAllowed',
    status: is,
    reason,
    message: failure ?? '',
    observedGeneration: metadata.generation ?? 0,
    lastTransitionTime: isSame ? before.lastTransitionTime : timestamp(nowMs),
  };
  return [condition];
}
