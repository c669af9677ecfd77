/** Pure: a pod's status from what its containers do. */
import type { ContainerStatus, CoreCondition, Pod, PodPhase, PodStatus } from '../../api/index.ts';

export interface PodStatusInput {
  /** The pod as the API has it: conditions of others are kept. */
  readonly pod: Pod;
  /** The conditions computed last time: those that did not change keep their times. */
  readonly before: readonly CoreCondition[];
  readonly hostIp: string;
  /** Absent: `hostIp` alone. */
  readonly hostIps?: readonly string[];
  /** "" while it has none. */
  readonly podIp: string;
  /** Absent: `podIp` alone. */
  readonly podIps?: readonly string[];
  readonly startTime: string;
  readonly now: string;
  readonly init: readonly ContainerStatus[];
  readonly main: readonly ContainerStatus[];
  /** Init containers are done, the sidecars among them started. */
  readonly isInitialized: boolean;
  /** No container will run again. */
  readonly isOver: boolean;
  readonly isStopping: boolean;
  /** Set when the runtime gave the pod up. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

export function computePodStatus(input: PodStatusInput): PodStatus {
  const { pod, podIp, hostIp } = input;
  const phase = phaseOf(input);
  const isDone = phase === 'Succeeded' || phase === 'Failed';
  const sidecars = sidecarNames(pod);
  const serving = [...input.init.filter((status) => sidecars.has(status.name)), ...input.main];
  const unready = serving.filter((status) => !status.ready).map((status) => status.name);
  const containersReady = unready.length === 0 && input.isInitialized && !isDone;
  const gates = (pod.spec.readinessGates ?? []).map((gate) => gate.conditionType);
  const closedGate = gates.find(
    (type) => !pod.status?.conditions?.some((each) => each.type === type && each.status === 'True'),
  );
  const why = isDone
    ? { reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const incomplete = {
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${input.init
      .filter((each) => !isComplete(each))
      .map((each) => each.name)
      .join(' ')}]`,
  };
  const conditions: CoreCondition[] = [
    condition('PodReadyToStartContainers', podIp !== ''),
    condition('Initialized', input.isInitialized, incomplete),
    condition(
      'Ready',
      containersReady && closedGate === undefined,
      containersReady
        ? { reason: 'ReadinessGatesNotReady', message: `readiness gate "${closedGate}" is not True` }
        : why,
    ),
    condition('ContainersReady', containersReady, why),
    condition('PodScheduled', true),
  ];
  const status: PodStatus = {
    phase,
    conditions: mergeConditions(pod, input.before, conditions, input.now),
    hostIP: hostIp,
    hostIPs: (input.hostIps ?? [hostIp]).map((ip) => ({ ip })),
    startTime: input.startTime,
    containerStatuses: [...input.main],
    qosClass: qosClass(pod),
  };
  if (podIp !== '') {
    status.podIP = podIp;
    status.podIPs = (input.podIps ?? [podIp]).map((ip) => ({ ip }));
  }
  const { generation } = pod.metadata;
  if (generation !== undefined) status.observedGeneration = generation;
  if (input.init.length > 0) status.initContainerStatuses = [...input.init];
  if (input.failure) Object.assign(status, input.failure);
  return status;
}

function phaseOf(input: PodStatusInput): PodPhase {
  if (input.failure) return 'Failed';
  const sidecars = sidecarNames(input.pod);
  // How a sidecar ended, after all that it served, does not count.
  const counted = [...input.init.filter((status) => !sidecars.has(status.name)), ...input.main];
  const failed = counted.some((status) => (status.state?.terminated?.exitCode ?? 0) !== 0);
  if (input.isOver && !input.isStopping) return failed ? 'Failed' : 'Succeeded';
  if (input.isOver && input.main.every((status) => status.state?.terminated)) return failed ? 'Failed' : 'Succeeded';
  const ran = input.main.some(
    (status) => status.state?.running ?? status.state?.terminated ?? status.lastState?.terminated,
  );
  return input.isInitialized && ran ? 'Running' : 'Pending';
}

/** Init containers that go on beside the others. */
function sidecarNames(pod: Pod): ReadonlySet<string> {
  const init = pod.spec.initContainers ?? [];
  return new Set(init.filter((each) => each.restartPolicy === 'Always').map((each) => each.name));
}

function isComplete(status: ContainerStatus): boolean {
  return status.state?.terminated?.exitCode === 0 || (status.started ?? false);
}

function condition(
  type: string,
  isTrue: boolean,
  otherwise: { reason?: string; message?: string } = {},
): CoreCondition {
  return isTrue ? { type, status: 'True' } : { type, status: 'False', ...otherwise };
}

/** Ours replace those of the same type; a time changes only with its status. */
function mergeConditions(
  pod: Pod,
  before: readonly CoreCondition[],
  ours: readonly CoreCondition[],
  now: string,
): CoreCondition[] {
  const stored = pod.status?.conditions ?? [];
  const { generation } = pod.metadata;
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  const own = new Set(ours.map((each) => each.type));
  const merged = ours.map((each) => {
    const known = [...before, ...stored].find((other) => other.type === each.type);
    const lastTransitionTime = known?.status === each.status ? (known.lastTransitionTime ?? now) : now;
    return { ...each, ...observed, lastProbeTime: null, lastTransitionTime };
  });
  return [...stored.filter((each) => !own.has(each.type)), ...merged];
}

function qosClass(pod: Pod): NonNullable<PodStatus['qosClass']> {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const sets = containers.map((each) => ({
    limits: each.resources?.limits ?? {},
    requests: each.resources?.requests ?? {},
  }));
  if (sets.every(({ limits, requests }) => Object.keys(limits).length + Object.keys(requests).length === 0))
    return 'BestEffort';
  const guaranteed = sets.every(({ limits, requests }) =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name]),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
