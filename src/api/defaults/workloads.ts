/** Defaults of StatefulSet, DaemonSet, Job, CronJob and PersistentVolumeClaim, and what they get when they are made. */
import { isDeepStrictEqual } from 'node:util';
import { ensureObject, fill, objectAt, objectsAt, type JsonObject } from './fill.ts';
import { defaultPodSpec } from './pod.ts';

export function defaultStatefulSet(set: JsonObject): void {
  const spec = objectAt(set, 'spec');
  if (!spec) return;
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: 'OrderedReady', serviceName: '' });
  const retention = ensureObject(spec, 'persistentVolumeClaimRetentionPolicy');
  if (retention) fill(retention, { whenDeleted: 'Retain', whenScaled: 'Retain' });
  const rolling = defaultStrategy(spec);
  if (rolling) fill(rolling, { partition: 0 });
  for (const claim of objectsAt(spec, 'volumeClaimTemplates')) {
    fill(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
    defaultClaim(claim);
  }
  defaultTemplate(spec);
}

export function defaultDaemonSet(set: JsonObject): void {
  const spec = objectAt(set, 'spec');
  if (!spec) return;
  fill(spec, { revisionHistoryLimit: 10 });
  const rolling = defaultStrategy(spec);
  if (rolling) fill(rolling, { maxSurge: 0, maxUnavailable: 1 });
  defaultTemplate(spec);
}

/** Fields that the API server shows from the start, whatever the controller is doing. */
export function newDaemonSet(set: JsonObject): void {
  const zeros = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
  set['status'] = zeros;
}

export function newReplicaSet(set: JsonObject): void {
  set['status'] = { replicas: 0 };
}

export function newStatefulSet(set: JsonObject): void {
  set['status'] = { availableReplicas: 0, replicas: 0 };
}

export function defaultJob(job: JsonObject): void {
  const spec = objectAt(job, 'spec');
  if (!spec) return;
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  fill(spec, {
    parallelism: 1,
    backoffLimit: spec['backoffLimitPerIndex'] === undefined ? 6 : 2 ** 31 - 1,
    completionMode: 'NonIndexed',
    suspend: false,
    manualSelector: false,
    podReplacementPolicy: spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed',
  });
  const metadata = objectAt(job, 'metadata');
  const labels = objectAt(objectAt(objectAt(spec, 'template') ?? {}, 'metadata') ?? {}, 'labels');
  if (metadata && labels) fill(metadata, { labels: { ...labels } });
  defaultFailurePolicy(spec);
  defaultTemplate(spec);
}

/** A Job finds its pods by its own uid, unless the user says how. */
export function newJob(job: JsonObject): void {
  job['status'] = {};
  const spec = objectAt(job, 'spec');
  const metadata = objectAt(job, 'metadata');
  const template = spec && objectAt(spec, 'template');
  if (!spec || !metadata || !template || spec['manualSelector'] === true) return;
  const { uid, name } = metadata;
  const templateMeta = ensureObject(template, 'metadata');
  const labels = templateMeta && ensureObject(templateMeta, 'labels');
  if (!labels) return;
  // Labels that are the template's stay that.
  const isPlain = isDeepStrictEqual(metadata['labels'] ?? {}, labels);
  Object.assign(labels, {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  });
  if (isPlain) metadata['labels'] = { ...labels };
  const selector = ensureObject(spec, 'selector');
  const wanted = selector && ensureObject(selector, 'matchLabels');
  if (wanted) wanted['batch.kubernetes.io/controller-uid'] = uid;
}

export function defaultCronJob(cronJob: JsonObject): void {
  const spec = objectAt(cronJob, 'spec');
  if (!spec) return;
  fill(spec, {
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  });
  const jobTemplate = objectAt(spec, 'jobTemplate');
  const jobSpec = jobTemplate && objectAt(jobTemplate, 'spec');
  if (!jobSpec) return;
  fill(jobTemplate, { metadata: {} });
  fill(objectAt(jobSpec, 'template') ?? {}, { metadata: {} });
  defaultFailurePolicy(jobSpec);
  defaultTemplate(jobSpec);
}

export function defaultClaim(claim: JsonObject): void {
  const spec = ensureObject(claim, 'spec');
  if (spec) fill(spec, { volumeMode: 'Filesystem' });
  const status = ensureObject(claim, 'status');
  if (status) fill(status, { phase: 'Pending' });
}

export function newClaim(claim: JsonObject): void {
  claim['status'] = { phase: 'Pending' };
}

/** The `rollingUpdate` of a strategy that rolls. */
function defaultStrategy(spec: JsonObject): JsonObject | undefined {
  const strategy = ensureObject(spec, 'updateStrategy');
  if (strategy) fill(strategy, { type: 'RollingUpdate' });
  return strategy?.['type'] === 'RollingUpdate' ? ensureObject(strategy, 'rollingUpdate') : undefined;
}

function defaultFailurePolicy(jobSpec: JsonObject): void {
  for (const rule of objectsAt(objectAt(jobSpec, 'podFailurePolicy') ?? {}, 'rules')) {
    for (const pattern of objectsAt(rule, 'onPodConditions')) fill(pattern, { status: 'True' });
  }
}

function defaultTemplate(spec: JsonObject): void {
  const template = objectAt(spec, 'template');
  const podSpec = template && objectAt(template, 'spec');
  if (podSpec) defaultPodSpec(podSpec);
}
