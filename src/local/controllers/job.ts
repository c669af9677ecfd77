/** Jobs: pods that run to their end, as many and as often as asked. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type Job, type JobStatus, type KubeObject, type Pod } from '../../api/index.ts';
import { isKubeError, isOlder, objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import {
  completionIndexKey,
  finishedCondition,
  indexFailuresKey,
  isJobFinished,
  planJob,
  trackingFinalizer,
  type NewPod,
} from './job-plan.ts';
import { controllerOf } from './ownership.ts';
import { allSettled, createPodWriter, echoTimeoutMs, podOf } from './pod-writer.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'job-controller';
/** A Job that names another manager is that one's. */
const ownManager = 'kubernetes.io/job-controller';

export function createJobController(cluster: Cluster): Controller {
  const { client, clock, jobs, pods, podIndex, events, signal } = cluster;
  const kind = kinds.Job;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('job'), clock });
  const writer = createPodWriter(cluster, { kind, component, onChange: (key) => queue.add(key) });
  /** Uids of owners by key: what a Job that is gone left behind is found by it. */
  const gone = new Map<string, string>();

  /** Versions of Jobs as this controller wrote them: an older copy does not know what was counted. */
  const written = new Map<string, string>();

  jobs.onChange((after, before) => {
    const object = after ?? before;
    if (!object) return;
    if (!after) {
      writer.forget(objectKey(object));
      written.delete(objectKey(object));
      gone.set(objectKey(object), object.metadata.uid ?? '');
    }
    queue.add(objectKey(object));
  });
  pods.onChange((after) => {
    const owner = after && controllerOf(after);
    const key = `${after?.metadata.namespace}/${owner?.name}`;
    if (owner?.kind === 'Job' && after && isTracked(after) && jobs.store.get(key)?.metadata.uid !== owner.uid) {
      gone.set(key, owner.uid);
      queue.add(key);
    }
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    await releaseOrphans(key);
    const job = jobs.store.get(key);
    if (!job || (job.spec.managedBy ?? ownManager) !== ownManager) return;
    const { deletionTimestamp, namespace, uid = '' } = job.metadata;
    if (isJobFinished(job) || deletionTimestamp) {
      await allSettled(podIndex.ownedBy(uid).map((pod) => release(pod)));
      if (!deletionTimestamp) await expire(job);
      return;
    }
    if (!isLive(cluster, namespace) || isStale(key, job)) return;
    const mine = await writer.claim(job, job.spec.selector ?? {});
    if (!writer.isSettled(key)) return queue.addAfter(key, echoTimeoutMs);
    const plan = planJob({ job, pods: mine, nowMs: clock.nowMs() });
    // The status first: what it counts must be safe before the pods are let go.
    await writeStatus(job, plan.status);
    await allSettled([
      ...plan.release.map((pod) => release(pod)),
      ...plan.create.map((wanted) => writer.create(job, jobPod(job, wanted))),
      ...plan.remove.map((pod) => release(pod).then(() => writer.remove(job, pod))),
    ]);
    for (const event of plan.events) events.write(kind, job, { component, ...event });
    if (plan.waitMs !== undefined) queue.addAfter(key, plan.waitMs + 1);
    if (!writer.isSettled(key)) queue.addAfter(key, echoTimeoutMs);
  }

  /** `ttlSecondsAfterFinished`: a Job that has ended goes, with its pods. */
  async function expire(job: Job): Promise<void> {
    const { ttlSecondsAfterFinished } = job.spec;
    if (ttlSecondsAfterFinished === undefined) return;
    const endMs = Date.parse(finishedCondition(job)?.lastTransitionTime ?? '');
    const leftMs = endMs + ttlSecondsAfterFinished * 1000 - clock.nowMs();
    if (leftMs > 0) return queue.addAfter(objectKey(job), leftMs + 1);
    const { name = '', namespace, uid = '', resourceVersion = '' } = job.metadata;
    const options = { propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion }, signal } as const;
    await ignoreMissing(client.delete(kind, name, namespace, options));
  }

  async function releaseOrphans(key: string): Promise<void> {
    const uid = gone.get(key);
    if (uid === undefined) return;
    await allSettled(podIndex.ownedBy(uid).map((pod) => release(pod)));
    gone.delete(key);
  }

  async function release(pod: Pod): Promise<void> {
    if (!isTracked(pod)) return;
    const { name = '', namespace, uid, resourceVersion } = pod.metadata;
    const left = (pod.metadata.finalizers ?? []).filter((finalizer) => finalizer !== trackingFinalizer);
    const patch = { metadata: { uid, resourceVersion, finalizers: left.length > 0 ? left : null } };
    await ignoreMissing(client.patch(kinds.Pod, name, namespace, patch, { type: 'merge', signal }));
  }

  async function writeStatus(job: Job, status: JobStatus): Promise<void> {
    const changed = changeOf(job.status, status);
    if (Object.keys(changed).length === 0) return;
    const { name = '', namespace, resourceVersion } = job.metadata;
    const patch = { metadata: { resourceVersion }, status: changed };
    const made = await client.patch(kind, name, namespace, patch, { type: 'merge', subresource: 'status', signal });
    written.set(objectKey(job), made.metadata.resourceVersion ?? '');
  }

  /** The informer will show the newer one, and then the Job is looked at again. */
  function isStale(key: string, { metadata: { resourceVersion = '' } }: Job): boolean {
    const last = written.get(key);
    return last !== undefined && isOlder(resourceVersion, last);
  }
}

function isTracked(object: KubeObject): boolean {
  return object.metadata.finalizers?.includes(trackingFinalizer) === true;
}

/** Zeros and empty parts are left out, as the API leaves them out. */
function changeOf(before: JobStatus = {}, after: JobStatus): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  const [old, next] = [before, after] as Record<string, unknown>[];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const value = next?.[name];
    const shown = value === 0 && name !== 'ready' && name !== 'terminating' ? undefined : value;
    if (isDeepStrictEqual(old?.[name], shown)) continue;
    // Uids that were counted must go: a merge patch of the inner object would keep them.
    changed[name] =
      name === 'uncountedTerminatedPods' ? { succeeded: null, failed: null, ...(shown as object) } : (shown ?? null);
  }
  return changed;
}

function jobPod(job: Job, { index, indexFailures }: NewPod): Pod {
  const { name = '' } = job.metadata;
  const generateName = index === undefined ? `${name}-` : `${name}-${index}-`;
  const pod = podOf(kinds.Job, job, job.spec.template, { generateName });
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
  if (index === undefined) return pod;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [completionIndexKey]: String(index),
    ...(indexFailures !== undefined && { [indexFailuresKey]: String(indexFailures) }),
  };
  pod.metadata.labels = { ...pod.metadata.labels, [completionIndexKey]: String(index) };
  pod.spec.hostname = `${name}-${index}`;
  const fieldRef = { fieldPath: `metadata.labels['${completionIndexKey}']` };
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    if (container.env?.some((variable) => variable.name === 'JOB_COMPLETION_INDEX')) continue;
    container.env = [...(container.env ?? []), { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef } }];
  }
  return pod;
}

async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isKubeError(error, 'kube.not-found')) throw error;
  }
}
