/** The columns of the kinds other than Pod, as kubectl shows them. */
import type { Deployment, ReplicaSet } from '../apps.ts';
import type { ConfigMap, Event, Namespace, Node, Secret, Service, ServiceAccount } from '../core.ts';
import type { EndpointSlice } from '../discovery.ts';
import type { Column } from '../kind-info.ts';
import type { LabelSelector } from '../meta.ts';
import { formatSelector } from '../selector.ts';
import { ageSince } from './age.ts';
import { ageColumn, column, count, nameColumn, orNone, wide } from './columns.ts';

export const plainColumns: readonly Column[] = [nameColumn, ageColumn];

export const namespaceColumns: readonly Column<Namespace>[] = [
  nameColumn,
  column<Namespace>('Status', 'The status of the namespace', (namespace) => namespace.status?.phase ?? ''),
  ageColumn,
];

export const serviceColumns: readonly Column<Service>[] = [
  nameColumn,
  column<Service>('Type', 'Type determines how the Service is exposed.', ({ spec }) => spec?.type ?? 'ClusterIP'),
  column<Service>('Cluster-IP', 'IP address of the service.', ({ spec }) => orNone(spec?.clusterIP)),
  column<Service>('External-IP', 'Addresses that reach the service from outside.', externalIp),
  column<Service>('Port(s)', 'The ports that the service exposes.', ({ spec }) => {
    const ports = (spec?.ports ?? []).map(
      ({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? 'TCP'}`,
    );
    return orNone(ports.join(','));
  }),
  ageColumn,
  wide<Service>('Selector', 'Labels of the pods that serve.', ({ spec }) =>
    orNone(formatSelector({ matchLabels: spec?.selector ?? {} })),
  ),
];

export const serviceAccountColumns: readonly Column<ServiceAccount>[] = [
  nameColumn,
  count<ServiceAccount>('Secrets', 'Secrets that the account may use.', ({ secrets }) => secrets?.length ?? 0),
  ageColumn,
];

export const configMapColumns: readonly Column<ConfigMap>[] = [
  nameColumn,
  count<ConfigMap>(
    'Data',
    'Number of keys.',
    ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
  ),
  ageColumn,
];

export const secretColumns: readonly Column<Secret>[] = [
  nameColumn,
  column<Secret>('Type', 'What the secret is for.', ({ type }) => type ?? 'Opaque'),
  count<Secret>('Data', 'Number of keys.', ({ data }) => Object.keys(data ?? {}).length),
  ageColumn,
];

export const nodeColumns: readonly Column<Node>[] = [
  nameColumn,
  column<Node>('Status', 'The status of the node', ({ spec, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    const text = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
    return spec?.unschedulable ? `${text},SchedulingDisabled` : text;
  }),
  column<Node>('Roles', 'The roles of the node', ({ metadata }) => {
    const prefix = 'node-role.kubernetes.io/';
    const roles = Object.keys(metadata.labels ?? {})
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length));
    return orNone(roles.toSorted().join(','));
  }),
  ageColumn,
  column<Node>('Version', 'Version of the node agent.', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
  wide<Node>('Internal-IP', 'Address inside the cluster.', (node) => orNone(nodeAddress(node, 'InternalIP'))),
  wide<Node>('External-IP', 'Address outside the cluster.', (node) => orNone(nodeAddress(node, 'ExternalIP'))),
  wide<Node>('OS-Image', 'Operating system.', ({ status }) => status?.nodeInfo?.osImage || '<unknown>'),
  wide<Node>('Kernel-Version', 'Kernel.', ({ status }) => status?.nodeInfo?.kernelVersion || '<unknown>'),
  wide<Node>(
    'Container-Runtime',
    'What runs the containers.',
    ({ status }) => status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
  ),
];

export const eventColumns: readonly Column<Event>[] = [
  column<Event>('Last Seen', 'Time since it last happened.', (event, nowMs) => {
    const { lastTimestamp, eventTime, firstTimestamp, series, metadata } = event;
    return ageSince(
      series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? metadata.creationTimestamp,
      nowMs,
    );
  }),
  column<Event>('Type', 'Normal, or Warning.', ({ type }) => type ?? ''),
  column<Event>('Reason', 'Why, in one word.', ({ reason }) => reason ?? ''),
  column<Event>(
    'Object',
    'What it is about.',
    ({ involvedObject: { kind = '', name = '' } }) => `${kind.toLowerCase()}/${name}`,
  ),
  wide<Event>('Subobject', 'The part of the object.', ({ involvedObject }) => involvedObject.fieldPath ?? ''),
  wide<Event>('Source', 'Who reports it.', ({ source, reportingComponent }) =>
    [source?.component || reportingComponent, source?.host].filter(Boolean).join(', '),
  ),
  column<Event>('Message', 'What happened.', ({ message }) => (message ?? '').trim()),
  wide<Event>('First Seen', 'Time since it first happened.', ({ firstTimestamp, eventTime, metadata }, nowMs) =>
    ageSince(firstTimestamp ?? eventTime ?? metadata.creationTimestamp, nowMs),
  ),
  wide<Event>('Count', 'How often.', ({ series, count: times }) => String(series?.count ?? times ?? 1)),
  { ...nameColumn, priority: 1 },
];

export const deploymentColumns: readonly Column<Deployment>[] = [
  nameColumn,
  column<Deployment>(
    'Ready',
    'Number of the pod with ready state',
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}`,
  ),
  count<Deployment>('Up-to-date', 'Pods of the newest template.', ({ status }) => status?.updatedReplicas ?? 0),
  count<Deployment>('Available', 'Pods ready for long enough.', ({ status }) => status?.availableReplicas ?? 0),
  ageColumn,
  ...templateColumns<Deployment>(),
];

export const replicaSetColumns: readonly Column<ReplicaSet>[] = [
  nameColumn,
  count<ReplicaSet>('Desired', 'Pods wanted.', ({ spec }) => spec.replicas ?? 1),
  count<ReplicaSet>('Current', 'Pods there.', ({ status }) => status?.replicas ?? 0),
  count<ReplicaSet>('Ready', 'Pods ready.', ({ status }) => status?.readyReplicas ?? 0),
  ageColumn,
  ...templateColumns<ReplicaSet>(),
];

export const endpointSliceColumns: readonly Column<EndpointSlice>[] = [
  nameColumn,
  column<EndpointSlice>('AddressType', 'Type of the addresses.', ({ addressType }) => addressType),
  column<EndpointSlice>('Ports', 'Ports of the endpoints.', ({ ports }) =>
    someOf(
      (ports ?? []).map(({ port }) => (port === undefined ? '*' : String(port))),
      '<unset>',
    ),
  ),
  column<EndpointSlice>('Endpoints', 'Addresses.', ({ endpoints }) =>
    someOf(
      endpoints.flatMap(({ addresses }) => addresses),
      '<unset>',
    ),
  ),
  ageColumn,
];

interface Templated {
  metadata: Deployment['metadata'];
  spec: { selector: LabelSelector; template?: Deployment['spec']['template'] };
}

function templateColumns<T extends Templated>(): Column<T>[] {
  return [
    wide<T>('Containers', 'Names of each container in the template.', ({ spec }) =>
      (spec.template?.spec.containers ?? []).map(({ name }) => name).join(','),
    ),
    wide<T>('Images', 'Images referenced by each container in the template.', ({ spec }) =>
      (spec.template?.spec.containers ?? []).map(({ image }) => image ?? '').join(','),
    ),
    wide<T>('Selector', 'Labels of the pods.', ({ spec }) => formatSelector(spec.selector)),
  ];
}

function externalIp({ spec, status }: Service): string {
  const given = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'ExternalName':
      return spec.externalName ?? '<none>';
    case 'LoadBalancer': {
      const addresses = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '');
      return [...addresses, ...given].join(',') || '<pending>';
    }
    case 'ClusterIP':
    case 'NodePort':
    case undefined:
      return orNone(given.join(','));
  }
}

function nodeAddress({ status }: Node, wanted: string): string | undefined {
  return status?.addresses?.find(({ type }) => type === wanted)?.address;
}

function someOf(list: readonly string[], empty: string): string {
  if (list.length === 0) return empty;
  return list.length > 3 ? `${list.slice(0, 3).join(',')} + ${list.length - 3} more...` : list.join(',');
}
