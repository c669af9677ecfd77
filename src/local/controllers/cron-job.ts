/** CronJobs: a Job at each time of their schedule. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type CronJob, type CronJobStatus, type Job, type ObjectReference } from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { isLive, timestamp, type Cluster, type Controller } from './cluster.ts';
import { jobNameOf, manyMissed, planCron } from './cron-plan.ts';
import { finishedCondition, isJobFinished } from './job-plan.ts';
import { controllerOf, controllerReference, isControlledBy } from './ownership.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'cronjob-controller';

export function createCronJobController(cluster: Cluster): Controller {
  const { client, clock, cronJobs, jobs, events, signal } = cluster;
  const kind = kinds.CronJob;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('cronjob'), clock });

  cronJobs.onChange((after) => {
    if (after) queue.add(objectKey(after));
  });
  jobs.onChange((after, before) => {
    const job = after ?? before;
    const owner = job && controllerOf(job);
    if (owner?.kind === 'CronJob') queue.add(`${job?.metadata.namespace}/${owner.name}`);
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const cronJob = cronJobs.store.get(key);
    if (!cronJob || cronJob.metadata.deletionTimestamp || !isLive(cluster, cronJob.metadata.namespace)) return;
    const own = [...jobs.store.values()].filter((job) => isControlledBy(job, cronJob));
    const status = noteEnds(cronJob, own);
    await prune(cronJob, own);
    if (!cronJob.spec.suspend) await run(cronJob, own, status);
    await writeStatus(cronJob, status);
  }

  /** What is active still, and when a run last succeeded. */
  function noteEnds(cronJob: CronJob, own: readonly Job[]): CronJobStatus {
    const status: CronJobStatus = { ...cronJob.status };
    const known = cronJob.status?.active ?? [];
    const living = own.filter((job) => !isJobFinished(job));
    for (const job of own) {
      const end = finishedCondition(job);
      if (!end || !known.some(({ uid }) => uid === job.metadata.uid)) continue;
      const message = `Saw completed job: ${job.metadata.name}, condition: ${end.type}`;
      events.write(kind, cronJob, { component, type: 'Normal', reason: 'SawCompletedJob', message });
    }
    for (const { uid, name } of known) {
      if (own.some((job) => job.metadata.uid === uid)) continue;
      const message = `Active job went missing: ${name}`;
      events.write(kind, cronJob, { component, type: 'Normal', reason: 'MissingJob', message });
    }
    status.active = living.map((job) => known.find(({ uid }) => uid === job.metadata.uid) ?? referenceTo(job));
    const ends = own.flatMap((job) => job.status?.completionTime ?? []);
    const newest = ends.reduce((latest, time) => (time > latest ? time : latest), status.lastSuccessfulTime ?? '');
    if (newest !== '') status.lastSuccessfulTime = newest;
    return status;
  }

  /** Starts the run that is due, if there is one, and notes it in `status`. */
  async function run(cronJob: CronJob, own: readonly Job[], status: CronJobStatus): Promise<void> {
    const nowMs = clock.nowMs();
    const plan = planCron(cronJob, nowMs);
    const warn = (reason: string, message: string): void =>
      events.write(kind, cronJob, { component, type: 'Warning', reason, message });
    switch (plan.kind) {
      case 'invalid':
        return warn('UnparseableSchedule', `unparseable schedule: ${cronJob.spec.schedule} : ${plan.problem}`);
      case 'late':
        warn('MissSchedule', `Missed scheduled time to start a job: ${timestamp(plan.atMs)}`);
        return lookAgain(cronJob, plan.nextMs);
      case 'wait':
        return lookAgain(cronJob, plan.untilMs);
      case 'run':
        break;
    }
    if (plan.missed > manyMissed)
      warn(
        'TooManyMissedTimes',
        `too many missed start times: ${plan.missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew`,
      );
    const active = own.filter((job) => !isJobFinished(job) && !job.metadata.deletionTimestamp);
    if (cronJob.spec.concurrencyPolicy === 'Forbid' && active.length > 0) {
      const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
      events.write(kind, cronJob, { component, type: 'Normal', reason: 'JobAlreadyActive', message });
      // The end of the run that is active comes here again.
      return;
    }
    if (cronJob.spec.concurrencyPolicy === 'Replace') for (const job of active) await remove(cronJob, job);
    const made = await createJob(cronJob, plan.atMs);
    status.lastScheduleTime = timestamp(plan.atMs);
    const replaced = cronJob.spec.concurrencyPolicy === 'Replace' ? [] : (status.active ?? []);
    status.active = [...replaced.filter(({ uid }) => uid !== made.metadata.uid), referenceTo(made)];
    // The status with the run in it comes back by the informer, and plans the next one.
  }

  function lookAgain(cronJob: CronJob, atMs: number | undefined): void {
    if (atMs !== undefined) queue.addAfter(objectKey(cronJob), Math.max(0, atMs - clock.nowMs()) + 10);
  }

  async function createJob(cronJob: CronJob, atMs: number): Promise<Job> {
    const { namespace = '' } = cronJob.metadata;
    const { metadata, spec } = cronJob.spec.jobTemplate;
    const name = jobNameOf(cronJob, atMs);
    const job: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name,
        namespace,
        ...(metadata?.labels && { labels: metadata.labels }),
        annotations: { ...metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': timestamp(atMs) },
        ownerReferences: [controllerReference(kind, cronJob)],
      },
      spec: structuredClone(spec),
    };
    try {
      const made = await client.create(kinds.Job, job, signal);
      const message = `Created job ${name}`;
      events.write(kind, cronJob, { component, type: 'Normal', reason: 'SuccessfulCreate', message });
      return made;
    } catch (error) {
      if (isKubeError(error, 'kube.already-exists')) {
        const existing = await client.get(kinds.Job, name, namespace, signal);
        if (isControlledBy(existing, cronJob)) return existing;
      }
      const message = `Error creating job: ${messageOf(error)}`;
      events.write(kind, cronJob, { component, type: 'Warning', reason: 'FailedCreate', message });
      throw error;
    }
  }

  /** Finished Jobs beyond the history limits go, oldest first. */
  async function prune(cronJob: CronJob, own: readonly Job[]): Promise<void> {
    const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
    const limits = [
      ['Complete', successfulJobsHistoryLimit],
      ['Failed', failedJobsHistoryLimit],
    ] as const;
    for (const [type, limit] of limits) {
      const ended = own
        .filter((job) => finishedCondition(job)?.type === type && !job.metadata.deletionTimestamp)
        .toSorted((a, b) => (a.status?.startTime ?? '').localeCompare(b.status?.startTime ?? ''));
      for (const job of ended.slice(0, Math.max(0, ended.length - limit))) await remove(cronJob, job);
    }
  }

  async function remove(cronJob: CronJob, job: Job): Promise<void> {
    const { name = '', namespace, uid = '' } = job.metadata;
    try {
      await client.delete(kinds.Job, name, namespace, {
        preconditions: { uid },
        propagationPolicy: 'Background',
        signal,
      });
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
    const message = `Deleted job ${name}`;
    events.write(kind, cronJob, { component, type: 'Normal', reason: 'SuccessfulDelete', message });
  }

  async function writeStatus(cronJob: CronJob, status: CronJobStatus): Promise<void> {
    const { active = [], ...rest } = status;
    const next = { ...rest, ...(active.length > 0 && { active }) };
    if (isDeepStrictEqual(next, { ...cronJob.status })) return;
    const { name = '', namespace } = cronJob.metadata;
    const patch = { status: { ...rest, active: active.length > 0 ? active : null } };
    await client.patch(kind, name, namespace, patch, { type: 'merge', subresource: 'status', signal });
  }
}

function referenceTo({
  metadata: { name = '', namespace = '', uid = '', resourceVersion = '' },
}: Job): ObjectReference {
  return { apiVersion: 'batch/v1', kind: 'Job', name, namespace, uid, resourceVersion };
}
