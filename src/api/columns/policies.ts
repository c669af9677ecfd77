/** The columns of autoscalers, budgets, claims, endpoints, and of the kinds of networking.k8s.io and scheduling.k8s.io. */
import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget } from '../autoscaling.ts';
import type { Endpoints, PersistentVolumeClaim } from '../core.ts';
import { viewOf, type FieldView } from '../field-view.ts';
import type { Column } from '../kind-info.ts';
import type { KubeObject, LabelSelector } from '../meta.ts';
import type { PodDisruptionBudget } from '../policy.ts';
import { formatSelector } from '../selector.ts';
import { ageColumn, column, count, nameColumn, orNone, wide } from './columns.ts';

export const autoscalerColumns: readonly Column<HorizontalPodAutoscaler>[] = [
  nameColumn,
  column<HorizontalPodAutoscaler>(
    'Reference',
    'What is scaled.',
    ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`,
  ),
  column<HorizontalPodAutoscaler>('Targets', 'Now, and as it should be.', ({ spec, status }) => {
    const metrics = spec.metrics ?? [];
    if (metrics.length === 0) return '<none>';
    const shown = metrics.slice(0, 2).map((metric, i) => metricText(metric, status?.currentMetrics?.[i]));
    return metrics.length > 2 ? `${shown.join(', ')} + ${metrics.length - 2} more...` : shown.join(', ');
  }),
  column<HorizontalPodAutoscaler>('MinPods', 'Never fewer.', ({ spec }) => String(spec.minReplicas ?? '<unset>')),
  count<HorizontalPodAutoscaler>('MaxPods', 'Never more.', ({ spec }) => spec.maxReplicas),
  count<HorizontalPodAutoscaler>('Replicas', 'Pods there.', ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];

export const budgetColumns: readonly Column<PodDisruptionBudget>[] = [
  nameColumn,
  column<PodDisruptionBudget>('Min Available', 'Pods that must stay.', ({ spec }) =>
    String(spec.minAvailable ?? 'N/A'),
  ),
  column<PodDisruptionBudget>('Max Unavailable', 'Pods that may be away.', ({ spec }) =>
    String(spec.maxUnavailable ?? 'N/A'),
  ),
  count<PodDisruptionBudget>(
    'Allowed Disruptions',
    'Pods that may go now.',
    ({ status }) => status?.disruptionsAllowed ?? 0,
  ),
  ageColumn,
];

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

export const claimColumns: readonly Column<PersistentVolumeClaim>[] = [
  nameColumn,
  column<PersistentVolumeClaim>('Status', 'The phase of the claim.', ({ metadata, status }) =>
    metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
  ),
  column<PersistentVolumeClaim>('Volume', 'What it is bound to.', ({ spec }) => spec?.volumeName ?? ''),
  column<PersistentVolumeClaim>('Capacity', 'How much there is.', ({ spec, status }) =>
    spec?.volumeName ? (status?.capacity?.['storage'] ?? '') : '',
  ),
  column<PersistentVolumeClaim>('Access Modes', 'Who may use it.', ({ spec, status }) =>
    spec?.volumeName ? (status?.accessModes ?? []).map((mode) => accessModes[mode] ?? mode).join(',') : '',
  ),
  column<PersistentVolumeClaim>('StorageClass', 'The class of storage.', ({ spec }) => spec?.storageClassName ?? ''),
  column<PersistentVolumeClaim>('VolumeAttributesClass', 'Attributes of the volume.', () => '<unset>'),
  ageColumn,
  wide<PersistentVolumeClaim>('VolumeMode', 'Files, or a block device.', ({ spec }) => spec?.volumeMode ?? '<unset>'),
];

export const endpointsColumns: readonly Column<Endpoints>[] = [
  nameColumn,
  column<Endpoints>('Endpoints', 'Addresses with ports.', ({ subsets = [] }) => {
    const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
      ports.length === 0
        ? addresses.map(({ ip }) => ip)
        : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`)),
    );
    if (all.length === 0) return '<none>';
    return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',');
  }),
  ageColumn,
];

export const networkPolicyColumns: readonly Column[] = [
  nameColumn,
  column<KubeObject>('Pod-Selector', 'Labels of the pods.', (policy) =>
    orNone(formatSelector((specOf(policy).at('podSelector').value ?? {}) as LabelSelector)),
  ),
  ageColumn,
];

export const ingressColumns: readonly Column[] = [
  nameColumn,
  column<KubeObject>('Class', 'The class of the ingress.', (ingress) =>
    orNone(
      specOf(ingress).at('ingressClassName').text ?? ingress.metadata.annotations?.['kubernetes.io/ingress.class'],
    ),
  ),
  column<KubeObject>('Hosts', 'Hosts of the rules.', (ingress) => {
    const hosts = specOf(ingress)
      .at('rules')
      .items()
      .flatMap((rule) => rule.at('host').text || []);
    if (hosts.length === 0) return '*';
    return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${hosts.length - 3} more...` : hosts.join(',');
  }),
  column<KubeObject>('Address', 'Where it is reached.', (ingress) =>
    viewOf(ingress)
      .at('status')
      .at('loadBalancer')
      .at('ingress')
      .items()
      .map((entry) => entry.at('ip').text ?? entry.at('hostname').text ?? '')
      .join(','),
  ),
  column<KubeObject>('Ports', 'Ports of the hosts.', (ingress) =>
    specOf(ingress).at('tls').items().length > 0 ? '80, 443' : '80',
  ),
  ageColumn,
];

export const ingressClassColumns: readonly Column[] = [
  nameColumn,
  column<KubeObject>('Controller', 'Who serves the class.', (kind) => specOf(kind).at('controller').text ?? ''),
  column<KubeObject>('Parameters', 'Further configuration.', (kind) => {
    const parameters = specOf(kind).at('parameters');
    if (!parameters.exists) return '<none>';
    const group = parameters.at('apiGroup').text;
    return `${parameters.at('kind').text ?? ''}${group ? `.${group}` : ''}/${parameters.at('name').text ?? ''}`;
  }),
  ageColumn,
];

export const priorityClassColumns: readonly Column[] = [
  nameColumn,
  count<KubeObject>('Value', 'The priority.', (kind) => viewOf(kind).at('value').number ?? 0),
  column<KubeObject>('Global-Default', 'For pods that name none.', (kind) =>
    String(viewOf(kind).at('globalDefault').boolean ?? false),
  ),
  ageColumn,
  column<KubeObject>(
    'PreemptionPolicy',
    'Whether others make room.',
    (kind) => viewOf(kind).at('preemptionPolicy').text ?? '<unset>',
  ),
];

function specOf(object: KubeObject): FieldView {
  return viewOf(object).at('spec');
}

function metricText(metric: MetricSpec, status: MetricStatus | undefined): string {
  if (metric.type !== 'Resource' || !metric.resource) return otherMetricText(metric);
  const { name, target } = metric.resource;
  const current = status?.resource?.current;
  if (target.averageValue !== undefined) return `${current?.averageValue ?? '<unknown>'}/${target.averageValue}`;
  const now = current?.averageUtilization === undefined ? '<unknown>' : `${current.averageUtilization}%`;
  return `${name}: ${now}/${target.averageUtilization === undefined ? '<auto>' : `${target.averageUtilization}%`}`;
}

function otherMetricText(metric: MetricSpec): string {
  const source = metric.pods ?? metric.object ?? metric.external ?? metric.containerResource;
  const target: MetricTarget | undefined = source?.target;
  const wanted = target?.averageValue !== undefined ? `${target.averageValue} (avg)` : String(target?.value ?? '');
  if (metric.type === 'Pods') return `<unknown>/${target?.averageValue ?? ''}`;
  if (metric.type === 'ContainerResource') {
    const name = metric.containerResource?.name ?? '';
    return target?.averageValue === undefined
      ? `${name}: <unknown>/${target?.averageUtilization ?? '<auto>'}%`
      : `<unknown>/${target.averageValue}`;
  }
  return `<unknown>/${wanted}`;
}
