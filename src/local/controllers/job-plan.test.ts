import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job, JobSpec, JobStatus, Pod } from '../../api/index.ts';
import { formatIndexes, parseIndexes } from './job-indexes.ts';
import { planJob, trackingFinalizer, type JobPlan } from './job-plan.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

function job(spec: Partial<JobSpec> = {}, status: JobStatus = {}): Job {
  const template = { spec: { containers: [{ name: 'c' }], restartPolicy: 'Never' as const } };
  return {
    metadata: { name: 'sum' },
    spec: { template, parallelism: 1, completions: 1, backoffLimit: 6, ...spec },
    status,
  };
}

let serial = 0;
type Phase = 'Running' | 'Succeeded' | 'Failed';

function pod(
  phase: Phase,
  rest: { index?: number; tracked?: boolean; endedSecondsAgo?: number; exitCode?: number } = {},
): Pod {
  const finishedAt = new Date(nowMs - (rest.endedSecondsAgo ?? 600) * 1000).toISOString();
  const state =
    phase === 'Running' ? {} : { terminated: { exitCode: rest.exitCode ?? (phase === 'Failed' ? 1 : 0), finishedAt } };
  return {
    metadata: {
      name: `sum-${serial}`,
      uid: `uid-${serial++}`,
      ...(rest.tracked !== false && { finalizers: [trackingFinalizer] }),
      ...(rest.index !== undefined && {
        annotations: { 'batch.kubernetes.io/job-completion-index': String(rest.index) },
      }),
    },
    spec: { containers: [] },
    status: { phase, containerStatuses: [{ name: 'c', ready: false, restartCount: 0, image: '', imageID: '', state }] },
  };
}

const plan = (of: Job, pods: Pod[] = []): JobPlan => planJob({ job: of, pods, nowMs });
const conditions = ({ status }: JobPlan): string[] =>
  (status.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`);

describe('a job', () => {
  it('starts as many pods as may run at a time, and never more than are still needed', () => {
    assert.equal(plan(job({ completions: 5, parallelism: 2 })).create.length, 2);
    assert.equal(plan(job({ completions: 5, parallelism: 2 }, { succeeded: 4 })).create.length, 1);
    assert.equal(plan(job({ completions: 5, parallelism: 3 }), [pod('Running')]).create.length, 2);
    assert.equal(plan(job({ completions: 5, parallelism: 1 }), [pod('Running'), pod('Running')]).remove.length, 1);
  });

  it('counts the end of a pod once: first by its uid, for good when nothing holds the pod', () => {
    const done = pod('Succeeded');
    const first = plan(job(), [done]);
    assert.deepEqual(first.status.uncountedTerminatedPods, { succeeded: [done.metadata.uid] });
    assert.equal(first.status.succeeded, 0);
    assert.deepEqual(first.release, [done]);
    assert.deepEqual(conditions(first), ['SuccessCriteriaMet CompletionsReached']);

    delete done.metadata.finalizers;
    const second = plan(job({}, first.status), [done]);
    assert.equal(second.status.succeeded, 1);
    assert.deepEqual(second.status.uncountedTerminatedPods, {});
    assert.deepEqual(conditions(second), ['SuccessCriteriaMet CompletionsReached', 'Complete CompletionsReached']);
    assert.equal(second.status.completionTime, '2026-01-01T00:10:00Z');
  });

  it('fails when more pods failed than may, and first removes what still runs', () => {
    const running = pod('Running');
    const failing = plan(job({ backoffLimit: 1, completions: 3, parallelism: 3 }), [
      pod('Failed'),
      pod('Failed'),
      running,
    ]);
    assert.deepEqual(conditions(failing), ['FailureTarget BackoffLimitExceeded']);
    assert.deepEqual(failing.remove, [running]);
    const after = plan(job({ backoffLimit: 1 }, { ...failing.status, failed: 2, uncountedTerminatedPods: {} }), []);
    assert.deepEqual(conditions(after), ['FailureTarget BackoffLimitExceeded', 'Failed BackoffLimitExceeded']);
  });

  it('waits longer after each failure', () => {
    const one = plan(job(), [pod('Failed', { endedSecondsAgo: 4 })]);
    assert.deepEqual([one.create.length, one.waitMs], [0, 6000]);
    const two = plan(job(), [pod('Failed', { endedSecondsAgo: 4 }), pod('Failed', { endedSecondsAgo: 40 })]);
    assert.deepEqual([two.create.length, two.waitMs], [0, 16_000]);
    assert.equal(plan(job(), [pod('Failed', { endedSecondsAgo: 11 })]).create.length, 1);
  });

  it('ends at its deadline', () => {
    const late = plan(job({ activeDeadlineSeconds: 60 }, { startTime: '2026-01-01T00:09:00Z' }), []);
    assert.deepEqual(conditions(late), ['FailureTarget DeadlineExceeded', 'Failed DeadlineExceeded']);
    assert.equal(plan(job({ activeDeadlineSeconds: 60 }, { startTime: '2026-01-01T00:09:30Z' })).waitMs, 30_001);
  });

  it('has no pods while it is suspended, and starts its time anew when it goes on', () => {
    const running = pod('Running');
    const paused = plan(job({ suspend: true }, { startTime: '2026-01-01T00:00:00Z' }), [running]);
    assert.deepEqual(conditions(paused), ['Suspended JobSuspended']);
    assert.deepEqual([paused.remove, paused.status.startTime], [[running], undefined]);
    const on = plan(job({}, paused.status));
    assert.deepEqual(conditions(on), ['Suspended JobResumed']);
    assert.deepEqual([on.create.length, on.status.startTime], [1, '2026-01-01T00:10:00Z']);
  });

  it('without completions is done when one succeeded and the others are', () => {
    const queue = { parallelism: 2 };
    const { completions: _, ...spec } = job(queue).spec;
    const of: Job = { metadata: { name: 'sum' }, spec };
    assert.equal(plan(of, [pod('Succeeded'), pod('Running')]).create.length, 0);
    assert.deepEqual(conditions(plan(of, [pod('Succeeded'), pod('Running')])), []);
    assert.deepEqual(conditions(plan(of, [pod('Succeeded')])), ['SuccessCriteriaMet CompletionsReached']);
  });

  it('gives each index one pod, and knows which are done', () => {
    const indexed: Partial<JobSpec> = { completionMode: 'Indexed', completions: 4, parallelism: 4 };
    const { create, status } = plan(job(indexed), [pod('Running', { index: 1 }), pod('Succeeded', { index: 0 })]);
    assert.deepEqual(create, [{ index: 2 }, { index: 3 }]);
    assert.equal(status.completedIndexes, '0');
  });

  it('gives an index up after its own failures, and fails for it at the end', () => {
    const indexed: Partial<JobSpec> = {
      completionMode: 'Indexed',
      completions: 2,
      parallelism: 2,
      backoffLimitPerIndex: 0,
    };
    const { status, create } = plan(job(indexed), [pod('Failed', { index: 0 }), pod('Succeeded', { index: 1 })]);
    assert.deepEqual([status.failedIndexes, status.completedIndexes, create.length], ['0', '1', 0]);
    assert.equal(status.conditions?.[0]?.reason, 'FailedIndexes');
  });

  it('follows its failure policy', () => {
    const rule = (action: 'FailJob' | 'Ignore', values: number[]): NonNullable<JobSpec['podFailurePolicy']> => ({
      rules: [{ action, onExitCodes: { operator: 'In', values } }],
    });
    const fatal = plan(job({ podFailurePolicy: rule('FailJob', [42]) }), [pod('Failed', { exitCode: 42 })]);
    assert.equal(fatal.status.conditions?.[0]?.reason, 'PodFailurePolicy');
    const ignored = plan(job({ backoffLimit: 0, podFailurePolicy: rule('Ignore', [1]) }), [pod('Failed')]);
    assert.deepEqual([conditions(ignored), ignored.release.length, ignored.create.length], [[], 1, 1]);
  });
});

it('indexes are written as ranges', () => {
  assert.equal(formatIndexes([7, 3, 4, 5, 1]), '1,3-5,7');
  assert.equal(formatIndexes([1, 2]), '1,2');
  assert.deepEqual([...parseIndexes('1,3-5,7', 6)], [1, 3, 4, 5]);
});
