/** The columns of pods (`k8s.io/kubernetes/pkg/printers/internalversion`, printPod). */
import type { ContainerStatus, Pod } from '../core.ts';
import type { Column } from '../kind-info.ts';
import { ageSince } from './age.ts';
import { ageColumn, column, nameColumn, orNone, wide } from './columns.ts';

export const podColumns: readonly Column<Pod>[] = [
  nameColumn,
  column<Pod>('Ready', 'The aggregate readiness state of this pod for accepting traffic.', (pod) => {
    const statuses = [...(pod.status?.containerStatuses ?? []), ...sidecars(pod)];
    const ready = statuses.filter((status) => status.ready && status.state?.running).length;
    return `${ready}/${pod.spec.containers.length + sidecarNames(pod).size}`;
  }),
  column<Pod>('Status', 'The aggregate status of the containers in this pod.', podStatusText),
  column<Pod>(
    'Restarts',
    'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
    restarts,
  ),
  ageColumn,
  wide<Pod>('IP', 'IP address allocated to the pod.', (pod) => orNone(pod.status?.podIP)),
  wide<Pod>('Node', 'The node the pod runs on.', (pod) => orNone(pod.spec.nodeName)),
  wide<Pod>('Nominated Node', 'The node that the pod would run on, once room is made.', (pod) =>
    orNone(pod.status?.nominatedNodeName),
  ),
  wide<Pod>('Readiness Gates', 'Conditions outside the containers that the pod waits for.', (pod) => {
    const gates = pod.spec.readinessGates ?? [];
    if (gates.length === 0) return '<none>';
    const held = gates.filter((gate) =>
      pod.status?.conditions?.some(({ type, status }) => type === gate.conditionType && status === 'True'),
    );
    return `${held.length}/${gates.length}`;
  }),
];

/** The STATUS column: why the pod is where it is, in one word. */
export function podStatusText(pod: Pod): string {
  const { status } = pod;
  let reason = status?.reason || status?.phase || 'Unknown';
  if (
    status?.conditions?.some((condition) => condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated')
  ) {
    reason = 'SchedulingGated';
  }
  const initializing = initText(pod);
  if (initializing !== undefined) reason = initializing;
  if (initializing === undefined || initialized(pod)) {
    let hasRunning = false;
    for (const container of (status?.containerStatuses ?? []).toReversed()) {
      const text = containerText(container);
      if (text !== undefined) reason = text;
      else if (container.ready && container.state?.running) hasRunning = true;
    }
    // One container is done, another still runs.
    if (reason === 'Completed' && hasRunning) reason = isReady(pod) ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp) return status?.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  return reason;
}

/** What the init containers are doing; undefined when they are done. */
function initText(pod: Pod): string | undefined {
  const restartable = sidecarNames(pod);
  for (const [i, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const { waiting, terminated } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (restartable.has(container.name) && container.started) continue;
    if (terminated)
      return `Init:${terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`)}`;
    if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`;
    return `Init:${i}/${pod.spec.initContainers?.length ?? 0}`;
  }
  return undefined;
}

function containerText({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  if (!state?.terminated) return undefined;
  const { reason, signal, exitCode } = state.terminated;
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);
}

function restarts(pod: Pod, nowMs: number): string {
  const statuses =
    initialized(pod) || !pod.spec.initContainers?.length
      ? [...(pod.status?.containerStatuses ?? []), ...sidecars(pod)]
      : (pod.status?.initContainerStatuses ?? []);
  const total = statuses.reduce((sum, status) => sum + status.restartCount, 0);
  const last = statuses
    .map((status) => status.lastState?.terminated?.finishedAt ?? '')
    .reduce((latest, time) => (time > latest ? time : latest), '');
  return total > 0 && last !== '' ? `${total} (${ageSince(last, nowMs)} ago)` : String(total);
}

function sidecarNames(pod: Pod): ReadonlySet<string> {
  return new Set(
    (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always').map(({ name }) => name),
  );
}

function sidecars(pod: Pod): ContainerStatus[] {
  const names = sidecarNames(pod);
  return (pod.status?.initContainerStatuses ?? []).filter(({ name }) => names.has(name));
}

function initialized(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Initialized' && status === 'True') === true;
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}
