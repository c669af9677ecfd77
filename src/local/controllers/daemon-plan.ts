/** Which nodes a DaemonSet covers, and what it does next with its pods: decisions only (`pkg/controller/daemon`). */
import type { DaemonSet, DaemonSetStatus, Node, Pod, Taint, Toleration } from '../../api/index.ts';
import { isReady, untilAvailableMs } from './ownership.ts';
import { matchesNode, tolerates, unschedulableTaint } from './placement.ts';
import { podRevisionLabel } from './revisions.ts';
import { share } from './rollout.ts';

export interface DaemonInput {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  /** The pods that it owns. */
  readonly pods: readonly Pod[];
  /** Of the template as it is now; "" when it is not known yet. */
  readonly hash: string;
  readonly nowMs: number;
}

export interface DaemonPlan {
  /** Names of nodes. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
}

/** Pods of a DaemonSet stay where others would have to go. */
export const daemonTolerations: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];

const networkToleration: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
};

/** Whether a pod should be made on the node, and whether one that is there may stay. */
export interface NodeFit {
  readonly shouldRun: boolean;
  readonly mayStay: boolean;
}

export function fitOf(set: DaemonSet, node: Node): NodeFit {
  const { spec } = set.spec.template;
  if ((spec.nodeName && spec.nodeName !== node.metadata.name) || !matchesNode({ spec }, node))
    return { shouldRun: false, mayStay: false };
  const tolerations = tolerationsOf(set);
  const untolerated = taintsOf(node).filter((taint) => !tolerates(tolerations, taint));
  return {
    shouldRun: untolerated.every(({ effect }) => effect === 'PreferNoSchedule'),
    mayStay: untolerated.every(({ effect }) => effect !== 'NoExecute'),
  };
}

/** Those of the template, and those that every pod of a DaemonSet has. */
export function tolerationsOf({ spec: { template } }: DaemonSet): Toleration[] {
  const { tolerations = [], hostNetwork } = template.spec;
  const added = hostNetwork ? [...daemonTolerations, networkToleration] : daemonTolerations;
  const isSame = (a: Toleration, b: Toleration): boolean => a.key === b.key && a.effect === b.effect;
  return [...tolerations.filter((one) => !added.some((other) => isSame(one, other))), ...added];
}

/** The next step: pods where they are missing, none where they should not be, then the update. */
export function planDaemonSet(input: DaemonInput): DaemonPlan {
  const create: string[] = [];
  const remove = new Set<Pod>();
  const byNode = podsByNode(input.pods);
  for (const node of input.nodes) {
    const { name = '' } = node.metadata;
    const { shouldRun, mayStay } = fitOf(input.set, node);
    const pods = living(byNode.get(name));
    // A pod that is going still has its ports: its successor waits.
    if (shouldRun && !byNode.has(name)) create.push(name);
    if (!mayStay) for (const pod of pods) remove.add(pod);
    else for (const pod of surplusOf(input, pods)) remove.add(pod);
  }
  const known = new Set(input.nodes.map(({ metadata }) => metadata.name));
  for (const [name, pods] of byNode) if (!known.has(name)) for (const pod of living(pods)) remove.add(pod);
  const isUpdating = input.set.spec.updateStrategy?.type !== 'OnDelete' && input.hash !== '';
  if (isUpdating && create.length === 0 && remove.size === 0) return planUpdate(input, byNode);
  return { create, remove: [...remove] };
}

/** Replaces pods of older templates, as many at a time as may be unavailable; or makes new ones beside them first. */
function planUpdate(input: DaemonInput, byNode: ReadonlyMap<string, readonly Pod[]>): DaemonPlan {
  const targets = input.nodes
    .filter((node) => fitOf(input.set, node).shouldRun)
    .map(({ metadata: { name = '' } }) => name);
  const { surge, unavailable } = updateLimits(input.set, targets.length);
  const plan = { create: [] as string[], remove: [] as Pod[] };
  let surging = 0;
  let missing = 0;
  const replaceable: { name: string; old: Pod; isServing: boolean }[] = [];
  for (const name of targets) {
    const pods = living(byNode.get(name));
    const fresh = pods.find((pod) => isUpdated(input, pod));
    const old = pods.find((pod) => !isUpdated(input, pod));
    const isServing = pods.some((pod) => isAvailable(input, pod));
    if (!isServing) missing++;
    if (!old) continue;
    if (!fresh) replaceable.push({ name, old, isServing });
    else if (isAvailable(input, fresh)) plan.remove.push(old);
    else surging++;
  }
  // What does not serve costs nothing to replace.
  for (const { name, old, isServing } of replaceable.toSorted((a, b) => Number(a.isServing) - Number(b.isServing))) {
    if (surge > 0) {
      if (!isServing) plan.remove.push(old);
      else if (surging < surge) {
        plan.create.push(name);
        surging++;
      }
    } else if (!isServing || missing < unavailable) {
      plan.remove.push(old);
      if (isServing) missing++;
    }
  }
  return plan;
}

/** Percentages are of the nodes that should run it, rounded up; both 0 would never move. */
function updateLimits({ spec }: DaemonSet, nodes: number): { surge: number; unavailable: number } {
  const { maxSurge = 0, maxUnavailable = 1 } = spec.updateStrategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, nodes, Math.ceil);
  const unavailable = share(maxUnavailable, nodes, Math.ceil);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export function daemonStatus(input: DaemonInput): DaemonSetStatus {
  const byNode = podsByNode(input.pods);
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 };
  for (const node of input.nodes) {
    const pods = byNode.get(node.metadata.name ?? '') ?? [];
    const isThere = pods.length > 0;
    if (!fitOf(input.set, node).shouldRun) {
      if (isThere) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    if (!isThere) continue;
    counts.current++;
    const [best] = pods.toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)) || age(a) - age(b));
    if (best && isReady(best)) counts.ready++;
    if (best && isAvailable(input, best)) counts.available++;
    if (pods.some((pod) => isUpdated(input, pod) && !pod.metadata.deletionTimestamp)) counts.updated++;
  }
  return {
    observedGeneration: input.set.metadata.generation ?? 0,
    desiredNumberScheduled: counts.desired,
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    numberReady: counts.ready,
    updatedNumberScheduled: counts.updated,
    numberAvailable: counts.available,
    numberUnavailable: counts.desired - counts.available,
  };
}

/** The node that the pod is on, or was made for. */
export function nodeOf(pod: Pod): string {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const affinity = pod.spec.affinity?.['nodeAffinity'] as
    | {
        requiredDuringSchedulingIgnoredDuringExecution?: {
          nodeSelectorTerms?: { matchFields?: { values?: string[] }[] }[];
        };
      }
    | undefined;
  const [term] = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return term?.matchFields?.[0]?.values?.[0] ?? '';
}

/** Of the pods of a node: those that ended, and all but the oldest; an update may have two. */
function surplusOf(input: DaemonInput, pods: readonly Pod[]): Pod[] {
  const ended = pods.filter(({ status }) => status?.phase === 'Failed' || status?.phase === 'Succeeded');
  const rest = pods.filter((pod) => !ended.includes(pod)).toSorted((a, b) => age(a) - age(b));
  const surges = share(input.set.spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0, input.nodes.length, Math.ceil) > 0;
  const fresh = rest.filter((pod) => isUpdated(input, pod));
  const old = rest.filter((pod) => !isUpdated(input, pod));
  return surges ? [...ended, ...fresh.slice(1), ...old.slice(1)] : [...ended, ...rest.slice(1)];
}

function podsByNode(pods: readonly Pod[]): Map<string, Pod[]> {
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) byNode.set(nodeOf(pod), [...(byNode.get(nodeOf(pod)) ?? []), pod]);
  return byNode;
}

function living(pods: readonly Pod[] | undefined): Pod[] {
  return (pods ?? []).filter(({ metadata }) => !metadata.deletionTimestamp);
}

function isUpdated({ hash }: DaemonInput, pod: Pod): boolean {
  return pod.metadata.labels?.[podRevisionLabel] === hash;
}

function isAvailable({ set, nowMs }: DaemonInput, pod: Pod): boolean {
  return !pod.metadata.deletionTimestamp && untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, nowMs) === 0;
}

function age(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

/** The taints of the node, and those that its condition and `cordon` amount to. */
function taintsOf(node: Node): Taint[] {
  const taints = [...(node.spec?.taints ?? [])];
  if (node.spec?.unschedulable) taints.push(unschedulableTaint);
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') taints.push({ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' });
  return taints;
}
