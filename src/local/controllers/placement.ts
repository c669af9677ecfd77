/** Which node a pod goes to. Decisions only. */
import type { Node, Pod, Taint, Toleration } from '../../api/index.ts';
import { controllerOf, isFinished } from './ownership.ts';

/** What `kubectl cordon` means to pods. */
export const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export type Placement =
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'none'; readonly reason: string };

/**
 * The node with the fewest pods of the same workload, then the fewest pods, among those that are ready and allowed.
 * `others` are the pods that hold a place already.
 */
export function choosePlacement(pod: Pod, nodes: readonly Node[], others: Iterable<Pod>): Placement {
  const refusals = new Map<string, number>();
  const candidates = nodes.filter((node) => {
    const reason = refusalOf(pod, node);
    if (reason !== undefined) refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
    return reason === undefined;
  });
  if (candidates.length === 0) {
    const reasons = [...refusals].map(([reason, count]) => `${count} ${reason}`).join(', ');
    const detail =
      nodes.length === 0 ? 'no nodes available to schedule pods' : `0/${nodes.length} nodes are available: ${reasons}.`;
    return { kind: 'none', reason: detail };
  }
  const owner = controllerOf(pod)?.uid;
  const loads = new Map(candidates.map((node) => [node.metadata.name ?? '', { siblings: 0, total: 0 }]));
  for (const other of others) {
    const load = loads.get(other.spec.nodeName ?? '');
    if (!load || isFinished(other)) continue;
    load.total++;
    if (owner !== undefined && controllerOf(other)?.uid === owner) load.siblings++;
  }
  const [best] = [...loads].toSorted(
    ([nameA, a], [nameB, b]) => a.siblings - b.siblings || a.total - b.total || (nameA < nameB ? -1 : 1),
  );
  if (!best) throw new Error('A candidate node has no load');
  return { kind: 'node', node: best[0] };
}

/** Why the pod cannot go to the node, as kube-scheduler words it. */
function refusalOf(pod: Pod, node: Node): string | undefined {
  const isOpen = !node.spec?.unschedulable || tolerates(pod.spec.tolerations ?? [], unschedulableTaint);
  if (node.metadata.deletionTimestamp || !isOpen) return 'node(s) were unschedulable';
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') return 'node(s) were not ready';
  if (!matchesNode(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  const untolerated = node.spec?.taints?.find(
    (each) => each.effect !== 'PreferNoSchedule' && !tolerates(pod.spec.tolerations ?? [], each),
  );
  return untolerated ? `node(s) had untolerated taint {${untolerated.key}: ${untolerated.value ?? ''}}` : undefined;
}

/** Whether the pod's node selector and required node affinity allow the node. */
export function matchesNode(pod: Pick<Pod, 'spec'>, node: Node): boolean {
  const labels: Record<string, string> = {
    'kubernetes.io/hostname': node.metadata.name ?? '',
    ...node.metadata.labels,
  };
  const isSelected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  return isSelected && matchesAffinity(pod, node, labels);
}

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({ key, operator = 'Equal', value = '', effect }) => {
    if (effect && effect !== taint.effect) return false;
    if (!key) return operator === 'Exists';
    return key === taint.key && (operator === 'Exists' || value === (taint.value ?? ''));
  });
}

interface NodeRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

interface NodeTerm {
  readonly matchExpressions?: readonly NodeRequirement[];
  readonly matchFields?: readonly NodeRequirement[];
}

/** The required terms of node affinity: one of them must hold. */
function matchesAffinity(pod: Pick<Pod, 'spec'>, node: Node, labels: Readonly<Record<string, string>>): boolean {
  const affinity = pod.spec.affinity?.['nodeAffinity'] as
    | { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: readonly NodeTerm[] } }
    | undefined;
  const terms = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!Array.isArray(terms)) return true;
  return terms.some(({ matchExpressions = [], matchFields = [] }: NodeTerm) => {
    if (matchExpressions.length + matchFields.length === 0) return false;
    return (
      matchExpressions.every((each) => meets(labels[each.key], each)) &&
      matchFields.every((each) => meets(node.metadata.name, each))
    );
  });
}

function meets(value: string | undefined, { operator, values = [] }: NodeRequirement): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
