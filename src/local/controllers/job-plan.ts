/** What a Job does next with its pods, and its status: decisions only (`pkg/controller/job/job_controller.go`). */
import type { CoreCondition, Job, JobStatus, Pod } from '../../api/index.ts';
import { timestamp } from './cluster.ts';
import { judgeFailure } from './job-failures.ts';
import { formatIndexes, parseIndexes } from './job-indexes.ts';
import { isReady } from './ownership.ts';

/** On every pod of a Job until its end is counted. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const completionIndexKey = 'batch.kubernetes.io/job-completion-index';
/** On a pod: how often its index failed before it. */
export const indexFailuresKey = 'batch.kubernetes.io/job-index-failure-count';

/** After a failure, the next pod waits 10 s, then twice as long each time, up to 10 min. */
const backoffMs = 10_000;
const maxBackoffMs = 600_000;

export interface JobInput {
  readonly job: Job;
  /** The pods that it owns. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export interface NewPod {
  /** With completionMode Indexed. */
  readonly index?: number;
  readonly indexFailures?: number;
}

export interface JobPlan {
  readonly status: JobStatus;
  readonly create: readonly NewPod[];
  /** Their end does not count. */
  readonly remove: readonly Pod[];
  /** Pods whose end is in the status: nothing holds them any more. */
  readonly release: readonly Pod[];
  /** When to look again though nothing changed. */
  readonly waitMs?: number;
  readonly events: readonly {
    readonly type: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
  }[];
}

export function isJobFinished(job: Job): boolean {
  return finishedCondition(job) !== undefined;
}

/** Complete or Failed, when it is true. */
export function finishedCondition({ status }: Job): CoreCondition | undefined {
  return status?.conditions?.find(
    ({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True',
  );
}

interface Tally {
  readonly succeeded: number;
  readonly failed: number;
  readonly completed: ReadonlySet<number>;
  readonly failedIndexes: ReadonlySet<number>;
  /** Says why, when a rule of the failure policy ends the job. */
  readonly fatal: string | undefined;
  /** Uids of pods that failed and do not count. */
  readonly ignored: readonly string[];
  readonly uncounted: { readonly succeeded: string[]; readonly failed: string[] };
  /** What of it the status counts for good. */
  readonly counted: { readonly succeeded: number; readonly failed: number };
}

export function planJob(input: JobInput): JobPlan {
  const { job, pods, nowMs } = input;
  const before = job.status ?? {};
  const tally = tallyOf(input);
  const active = pods.filter((pod) => isActive(pod));
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp && !isEnded(pod)).length;
  const isSuspended = job.spec.suspend === true;
  const base: JobStatus = {
    ...before,
    ...(!before.startTime && !isSuspended && { startTime: timestamp(nowMs) }),
    succeeded: tally.counted.succeeded,
    failed: tally.counted.failed,
    terminating,
    uncountedTerminatedPods: {
      ...(tally.uncounted.succeeded.length > 0 && { succeeded: tally.uncounted.succeeded }),
      ...(tally.uncounted.failed.length > 0 && { failed: tally.uncounted.failed }),
    },
  };
  if (job.spec.completionMode === 'Indexed') {
    base.completedIndexes = formatIndexes(tally.completed);
    if (job.spec.backoffLimitPerIndex !== undefined) base.failedIndexes = formatIndexes(tally.failedIndexes);
  }
  const uncounted = new Set([...tally.uncounted.succeeded, ...tally.uncounted.failed]);
  const settled = new Set([...uncounted, ...tally.ignored]);
  const release = pods.filter((pod) => isTracked(pod) && settled.has(pod.metadata.uid ?? ''));
  const outcome = outcomeOf(input, tally, active);
  if (outcome) return endOf(input, { base, outcome, active, terminating, release, uncounted: uncounted.size });
  if (isSuspended) return suspend(input, base, active, release);
  return { ...run(input, base, active, tally), release };
}

function tallyOf({ job, pods }: JobInput): Tally {
  const { status = {}, spec } = job;
  const indexed = spec.completionMode === 'Indexed';
  const before = status.uncountedTerminatedPods ?? {};
  const held = new Set(pods.filter(isTracked).map(({ metadata }) => metadata.uid ?? ''));
  // A pod that nothing holds any more was counted in the status when it was let go: now it counts for good.
  const counts = (uids: readonly string[] = []): number => uids.filter((uid) => !held.has(uid)).length;
  const uncounted = {
    succeeded: (before.succeeded ?? []).filter((uid) => held.has(uid)),
    failed: (before.failed ?? []).filter((uid) => held.has(uid)),
  };
  const counted = {
    succeeded: (status.succeeded ?? 0) + (indexed ? 0 : counts(before.succeeded)),
    failed: (status.failed ?? 0) + counts(before.failed),
  };
  const completed = parseIndexes(status.completedIndexes, spec.completions ?? 0);
  const failedIndexes = parseIndexes(status.failedIndexes, spec.completions ?? 0);
  const ignored: string[] = [];
  let fatal: string | undefined;
  for (const pod of pods) {
    const { uid = '' } = pod.metadata;
    if (!isTracked(pod) || uncounted.succeeded.includes(uid) || uncounted.failed.includes(uid)) continue;
    const index = indexOf(pod);
    if (pod.status?.phase === 'Succeeded') {
      if (indexed && index !== undefined) completed.add(index);
      uncounted.succeeded.push(uid);
    } else if (isFailed(job, pod)) {
      const verdict = judgeFailure(job, pod);
      if (verdict.kind === 'fail-job') fatal ??= verdict.message;
      const isSpent = verdict.kind === 'fail-index' || indexFailuresOf(pod) >= (spec.backoffLimitPerIndex ?? Infinity);
      if (index !== undefined && isSpent && verdict.kind !== 'ignore') failedIndexes.add(index);
      if (verdict.kind === 'ignore') ignored.push(uid);
      else uncounted.failed.push(uid);
    }
  }
  const succeeded = indexed ? completed.size : counted.succeeded + uncounted.succeeded.length;
  return {
    succeeded,
    failed: counted.failed + uncounted.failed.length,
    completed,
    failedIndexes,
    fatal,
    ignored,
    uncounted,
    counted: indexed ? { ...counted, succeeded: completed.size } : counted,
  };
}

interface Outcome {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

/** How the job ends, when it does. What was decided before stays decided. */
function outcomeOf({ job, nowMs }: JobInput, tally: Tally, active: readonly Pod[]): Outcome | undefined {
  const { spec, status } = job;
  const decided = (type: string): CoreCondition | undefined =>
    status?.conditions?.find((condition) => condition.type === type && condition.status === 'True');
  const [target, met] = [decided('FailureTarget'), decided('SuccessCriteriaMet')];
  if (target) return { type: 'Failed', reason: target.reason ?? '', message: target.message ?? '' };
  if (met) return { type: 'Complete', reason: met.reason ?? '', message: met.message ?? '' };
  if (tally.fatal !== undefined) return { type: 'Failed', reason: 'PodFailurePolicy', message: tally.fatal };
  const restarts = spec.template.spec.restartPolicy === 'OnFailure' ? restartsOf(active) : 0;
  const limit = spec.backoffLimit ?? 6;
  if (tally.failed > limit || (restarts > 0 && restarts >= limit)) {
    const message = 'Job has reached the specified backoff limit';
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message };
  }
  const startMs = Date.parse(status?.startTime ?? '');
  if (spec.activeDeadlineSeconds !== undefined && !spec.suspend && nowMs - startMs >= spec.activeDeadlineSeconds * 1000)
    return { type: 'Failed', reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
  const success = successOf(job, tally);
  if (success) return success;
  if (spec.completionMode === 'Indexed' && tally.failedIndexes.size > 0) {
    if (spec.maxFailedIndexes !== undefined && tally.failedIndexes.size > spec.maxFailedIndexes)
      return {
        type: 'Failed',
        reason: 'MaxFailedIndexesExceeded',
        message: 'Job has exceeded the specified maximal number of failed indexes',
      };
    if (tally.failedIndexes.size + tally.completed.size >= (spec.completions ?? 0))
      return { type: 'Failed', reason: 'FailedIndexes', message: 'Job has failed indexes' };
  }
  const message = 'Reached expected number of succeeded pods';
  const isDone =
    spec.completions === undefined
      ? tally.succeeded > 0 && active.length === 0
      : tally.succeeded >= spec.completions && active.length === 0;
  return isDone ? { type: 'Complete', reason: 'CompletionsReached', message } : undefined;
}

/** `successPolicy`: some indexes are enough. */
function successOf({ spec }: Job, { completed }: Tally): Outcome | undefined {
  for (const [i, rule] of (spec.successPolicy?.rules ?? []).entries()) {
    const wanted =
      rule.succeededIndexes === undefined ? undefined : parseIndexes(rule.succeededIndexes, spec.completions ?? 0);
    const done = wanted ? [...wanted].filter((index) => completed.has(index)).length : completed.size;
    if (done >= (rule.succeededCount ?? wanted?.size ?? Infinity))
      return { type: 'Complete', reason: 'SuccessPolicy', message: `Matched rules at index ${i}` };
  }
  return undefined;
}

interface Ending {
  readonly base: JobStatus;
  readonly outcome: Outcome;
  readonly active: readonly Pod[];
  readonly terminating: number;
  readonly release: readonly Pod[];
  readonly uncounted: number;
}

/** First the decision is said, then what still runs goes, and when all is counted the end is said. */
function endOf({ nowMs }: JobInput, ending: Ending): JobPlan {
  const { base, outcome, active, terminating, release } = ending;
  const interim = outcome.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  let conditions = withCondition(base.conditions, { ...outcome, type: interim, status: 'True' }, nowMs);
  const status: JobStatus = { ...base, active: 0, ready: 0 };
  const isOver = active.length === 0 && terminating === 0 && ending.uncounted === 0;
  if (!isOver) {
    const left = active.filter(isReady).length;
    return {
      status: { ...status, active: active.length, ready: left, conditions },
      create: [],
      remove: active,
      release,
      events: [],
    };
  }
  conditions = withCondition(conditions, { ...outcome, status: 'True' }, nowMs);
  const isComplete = outcome.type === 'Complete';
  return {
    status: { ...status, conditions, ...(isComplete && { completionTime: timestamp(nowMs) }) },
    create: [],
    remove: [],
    release,
    events: [
      isComplete
        ? { type: 'Normal', reason: 'Completed', message: 'Job completed' }
        : { type: 'Warning', reason: outcome.reason, message: outcome.message },
    ],
  };
}

function suspend({ job, nowMs }: JobInput, base: JobStatus, active: readonly Pod[], release: readonly Pod[]): JobPlan {
  const known = job.status?.conditions?.some(({ type, status }) => type === 'Suspended' && status === 'True');
  const condition: CoreCondition = {
    type: 'Suspended',
    status: 'True',
    reason: 'JobSuspended',
    message: 'Job suspended',
  };
  const { startTime: _, ...rest } = base;
  return {
    status: { ...rest, active: 0, ready: 0, conditions: withCondition(base.conditions, condition, nowMs) },
    create: [],
    remove: active,
    release,
    events: known ? [] : [{ type: 'Normal', reason: 'Suspended', message: 'Job suspended' }],
  };
}

/** Makes and removes pods until as many are at work as should be. */
function run(input: JobInput, base: JobStatus, active: readonly Pod[], tally: Tally): Omit<JobPlan, 'release'> {
  const { job, nowMs } = input;
  const { spec } = job;
  const resumes = job.status?.conditions?.some(({ type, status }) => type === 'Suspended' && status === 'True');
  const status: JobStatus = { ...base, active: active.length, ready: active.filter(isReady).length };
  const events: JobPlan['events'][number][] = [];
  if (resumes) {
    const condition: CoreCondition = {
      type: 'Suspended',
      status: 'False',
      reason: 'JobResumed',
      message: 'Job resumed',
    };
    status.conditions = withCondition(base.conditions, condition, nowMs);
    status.startTime = timestamp(nowMs);
    events.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' });
  }
  const leftMs = deadlineLeftMs(input, status.startTime);
  const wanted = wantedActive(job, tally, active.length);
  const plan = { status, events, create: [] as NewPod[], remove: [] as Pod[] };
  const withWait = (waitMs: number | undefined): Omit<JobPlan, 'release'> => {
    const waits = [waitMs, leftMs].filter((wait) => wait !== undefined);
    return waits.length > 0 ? { ...plan, waitMs: Math.min(...waits) } : plan;
  };
  if (active.length > wanted) {
    const newest = active.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || createdMs(b) - createdMs(a));
    plan.remove = newest.slice(0, active.length - wanted);
    return withWait(undefined);
  }
  const waitsForEnd = spec.podReplacementPolicy === 'Failed' ? (base.terminating ?? 0) : 0;
  const missing = wanted - active.length - waitsForEnd;
  if (missing <= 0) return withWait(undefined);
  const waitMs = backoffLeftMs(input);
  if (waitMs > 0) return withWait(waitMs);
  plan.create = newPods(input, active, tally, missing);
  return withWait(undefined);
}

function wantedActive({ spec }: Job, tally: Tally, active: number): number {
  const parallelism = spec.parallelism ?? 1;
  // A work queue: when one has succeeded, the others finish what they have.
  if (spec.completions === undefined) return tally.succeeded > 0 ? Math.min(active, parallelism) : parallelism;
  return Math.max(0, Math.min(spec.completions - tally.succeeded - tally.failedIndexes.size, parallelism));
}

function newPods({ job, pods }: JobInput, active: readonly Pod[], tally: Tally, count: number): NewPod[] {
  if (job.spec.completionMode !== 'Indexed') return Array.from({ length: count }, () => ({}));
  const taken = new Set(active.map(indexOf));
  const result: NewPod[] = [];
  for (let index = 0; index < (job.spec.completions ?? 0) && result.length < count; index++) {
    if (tally.completed.has(index) || tally.failedIndexes.has(index) || taken.has(index)) continue;
    const failed = pods.filter((pod) => indexOf(pod) === index && isFailed(job, pod));
    const indexFailures = Math.max(0, ...failed.map((pod) => indexFailuresOf(pod) + 1));
    result.push(job.spec.backoffLimitPerIndex === undefined ? { index } : { index, indexFailures });
  }
  return result;
}

/** Milliseconds until a pod may follow those that failed last. */
function backoffLeftMs({ job, pods, nowMs }: JobInput): number {
  const ends = pods.filter((pod) => isEnded(pod)).toSorted((a, b) => endedMs(b) - endedMs(a));
  const lastSuccess = ends.findIndex((pod) => pod.status?.phase === 'Succeeded');
  const failures = (lastSuccess < 0 ? ends : ends.slice(0, lastSuccess)).filter((pod) => isFailed(job, pod));
  const [last] = failures;
  if (!last) return 0;
  const delayMs = Math.min(backoffMs * 2 ** (failures.length - 1), maxBackoffMs);
  return Math.max(0, endedMs(last) + delayMs - nowMs);
}

function deadlineLeftMs({ job: { spec }, nowMs }: JobInput, startTime: string | undefined): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || startTime === undefined) return undefined;
  return Math.max(0, Date.parse(startTime) + spec.activeDeadlineSeconds * 1000 - nowMs) + 1;
}

function withCondition(
  conditions: readonly CoreCondition[] | undefined,
  condition: CoreCondition,
  nowMs: number,
): CoreCondition[] {
  const before = conditions?.find(({ type }) => type === condition.type);
  if (before?.status === condition.status) return [...(conditions ?? [])];
  const now = timestamp(nowMs);
  const added = { ...condition, lastProbeTime: now, lastTransitionTime: now };
  return [...(conditions ?? []).filter(({ type }) => type !== condition.type), added];
}

function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true;
}

function isEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function isActive(pod: Pod): boolean {
  return !isEnded(pod) && !pod.metadata.deletionTimestamp;
}

/** Somebody else's delete is a failure too, at once or when the pod has ended. */
function isFailed({ spec }: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  if (spec.podReplacementPolicy === 'Failed') return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Succeeded';
}

function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[completionIndexKey];
  return text === undefined ? undefined : Number(text);
}

function indexFailuresOf(pod: Pod): number {
  return Number(pod.metadata.annotations?.[indexFailuresKey] ?? 0);
}

function restartsOf(pods: readonly Pod[]): number {
  const statuses = pods.flatMap(({ status }) => [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
  ]);
  return statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function createdMs(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

function endedMs(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map(({ state }) =>
    Date.parse(state?.terminated?.finishedAt ?? ''),
  );
  const known = ends.filter((end) => !Number.isNaN(end));
  return known.length > 0 ? Math.max(...known) : Date.parse(pod.metadata.deletionTimestamp ?? '') || createdMs(pod);
}
