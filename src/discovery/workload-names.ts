/** What a pod is called in metrics and logs: its workload, and its canonical service and revision (ambient-l4, 10.1). */
import type { Pod } from '../api/core.ts';

export interface WorkloadNames {
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
}

export function workloadNames(pod: Pod): WorkloadNames {
  const workloadName = ownerName(pod);
  return { workloadName, ...canonicalNames(pod.metadata.labels ?? {}, workloadName) };
}

/** By labels, the most special first. */
export function canonicalNames(
  labels: Readonly<Record<string, string>>,
  workloadName: string,
): Omit<WorkloadNames, 'workloadName'> {
  return {
    canonicalName:
      labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? workloadName,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ??
      labels['app.kubernetes.io/version'] ??
      labels['version'] ??
      'latest',
  };
}

/** The controller's name: the Deployment of a ReplicaSet, the CronJob of a Job; a pod of its own is its own workload. */
function ownerName(pod: Pod): string {
  const name = pod.metadata.name ?? '';
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
  // The mirror of a static pod is owned by its node, which says nothing of what runs in it.
  if (!owner || owner.kind === 'Node') return name;
  if (owner.kind === 'ReplicaSet') {
    const hash = pod.metadata.labels?.['pod-template-hash'];
    if (hash && owner.name.endsWith(`-${hash}`)) return owner.name.slice(0, -hash.length - 1);
  }
  // A CronJob names its Jobs by the scheduled minute, counted from the epoch.
  if (owner.kind === 'Job') return owner.name.replace(/-\d{8,10}$/, '');
  return owner.name;
}
