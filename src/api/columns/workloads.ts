/** The columns of StatefulSet, DaemonSet, ControllerRevision, Job and CronJob, as kubectl shows them. */
import type { ControllerRevision, DaemonSet, StatefulSet } from '../apps.ts';
import type { CronJob, Job } from '../batch.ts';
import type { PodTemplateSpec } from '../core.ts';
import type { Column } from '../kind-info.ts';
import type { KubeObject } from '../meta.ts';
import { formatSelector } from '../selector.ts';
import { ageSince, humanDuration } from './age.ts';
import { ageColumn, column, count, nameColumn, orNone, wide } from './columns.ts';

export const statefulSetColumns: readonly Column<StatefulSet>[] = [
  nameColumn,
  column<StatefulSet>(
    'Ready',
    'Number of the pod with ready state',
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}`,
  ),
  ageColumn,
  ...imageColumns<StatefulSet>(({ spec }) => spec.template),
];

export const daemonSetColumns: readonly Column<DaemonSet>[] = [
  nameColumn,
  count<DaemonSet>('Desired', 'Nodes that should run it.', ({ status }) => status?.desiredNumberScheduled ?? 0),
  count<DaemonSet>('Current', 'Nodes that run it.', ({ status }) => status?.currentNumberScheduled ?? 0),
  count<DaemonSet>('Ready', 'Nodes where it is ready.', ({ status }) => status?.numberReady ?? 0),
  count<DaemonSet>(
    'Up-to-date',
    'Nodes with the newest template.',
    ({ status }) => status?.updatedNumberScheduled ?? 0,
  ),
  count<DaemonSet>(
    'Available',
    'Nodes where it is ready for long enough.',
    ({ status }) => status?.numberAvailable ?? 0,
  ),
  column<DaemonSet>('Node Selector', 'Labels of the nodes.', ({ spec }) =>
    orNone(formatSelector({ matchLabels: spec.template.spec.nodeSelector ?? {} })),
  ),
  ageColumn,
  ...imageColumns<DaemonSet>(({ spec }) => spec.template),
  wide<DaemonSet>('Selector', 'Labels of the pods.', ({ spec }) => formatSelector(spec.selector)),
];

export const controllerRevisionColumns: readonly Column<ControllerRevision>[] = [
  nameColumn,
  column<ControllerRevision>('Controller', 'Whose template it holds.', ({ metadata }) => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (!owner) return '<none>';
    const [group = ''] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : [''];
    return `${owner.kind.toLowerCase()}${group === '' ? '' : `.${group}`}/${owner.name}`;
  }),
  count<ControllerRevision>('Revision', 'The place in history.', ({ revision }) => revision),
  ageColumn,
];

export const jobColumns: readonly Column<Job>[] = [
  nameColumn,
  column<Job>('Status', 'Status of the job.', jobStatusText),
  column<Job>('Completions', 'Pods that succeeded, of those wanted.', ({ spec, status }) => {
    const succeeded = status?.succeeded ?? 0;
    if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
    return (spec.parallelism ?? 1) > 1 ? `${succeeded}/1 of ${spec.parallelism}` : `${succeeded}/1`;
  }),
  column<Job>('Duration', 'Time between start and completion.', ({ status }, nowMs) => {
    if (!status?.startTime) return '';
    const endMs = status.completionTime ? Date.parse(status.completionTime) : nowMs;
    return humanDuration(endMs - Date.parse(status.startTime));
  }),
  ageColumn,
  ...imageColumns<Job>(({ spec }) => spec.template),
  wide<Job>('Selector', 'Labels of the pods.', ({ spec }) => formatSelector(spec.selector ?? {})),
];

export const cronJobColumns: readonly Column<CronJob>[] = [
  nameColumn,
  column<CronJob>('Schedule', 'When it runs.', ({ spec }) => spec.schedule),
  column<CronJob>('Timezone', 'Whose clock the schedule means.', ({ spec }) => orNone(spec.timeZone)),
  column<CronJob>('Suspend', 'Whether further runs wait.', ({ spec }) => (spec.suspend ? 'True' : 'False')),
  count<CronJob>('Active', 'Jobs that run.', ({ status }) => status?.active?.length ?? 0),
  column<CronJob>('Last Schedule', 'Time since the last run.', ({ status }, nowMs) =>
    status?.lastScheduleTime ? ageSince(status.lastScheduleTime, nowMs) : '<none>',
  ),
  ageColumn,
  ...imageColumns<CronJob>(({ spec }) => spec.jobTemplate.spec.template),
  wide<CronJob>('Selector', 'Labels of the pods.', ({ spec }) =>
    spec.jobTemplate.spec.selector ? formatSelector(spec.jobTemplate.spec.selector) : '<none>',
  ),
];

function jobStatusText({ metadata, status }: Job): string {
  const has = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (metadata.deletionTimestamp) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running';
}

function imageColumns<T extends KubeObject>(templateOf: (object: T) => PodTemplateSpec): Column<T>[] {
  return [
    wide<T>('Containers', 'Names of each container in the template.', (object) =>
      templateOf(object)
        .spec.containers.map(({ name }) => name)
        .join(','),
    ),
    wide<T>('Images', 'Images referenced by each container in the template.', (object) =>
      templateOf(object)
        .spec.containers.map(({ image }) => image ?? '')
        .join(','),
    ),
  ];
}
