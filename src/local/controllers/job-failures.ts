/** What the end of a pod means for its Job, by the Job's podFailurePolicy. */
import type { Job, Pod, PodFailurePolicyRule } from '../../api/index.ts';

export type FailureVerdict =
  | { readonly kind: 'count' }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'fail-index' }
  | { readonly kind: 'fail-job'; readonly message: string };

/** The first rule that matches decides; without one the failure counts. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [i, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const reason = matchOf(rule, pod);
    if (reason === undefined) continue;
    switch (rule.action) {
      case 'Ignore':
        return { kind: 'ignore' };
      case 'Count':
        return { kind: 'count' };
      case 'FailIndex':
        return { kind: 'fail-index' };
      case 'FailJob':
        return { kind: 'fail-job', message: `${reason} matching FailJob rule at index ${i}` };
    }
  }
  return { kind: 'count' };
}

function matchOf(rule: PodFailurePolicyRule, pod: Pod): string | undefined {
  const { namespace, name } = pod.metadata;
  if (rule.onExitCodes) {
    const { containerName, operator, values } = rule.onExitCodes;
    const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    for (const status of statuses) {
      const exitCode = status.state?.terminated?.exitCode;
      // Code 0 is no failure, whatever the rule says.
      if (exitCode === undefined || exitCode === 0) continue;
      if (containerName !== undefined && containerName !== status.name) continue;
      if (values.includes(exitCode) === (operator === 'In'))
        return `Container ${status.name} for pod ${namespace}/${name} failed with exit code ${exitCode}`;
    }
    return undefined;
  }
  for (const { type, status = 'True' } of rule.onPodConditions ?? []) {
    if (pod.status?.conditions?.some((condition) => condition.type === type && condition.status === status))
      return `Pod ${namespace}/${name} has condition ${type}`;
  }
  return undefined;
}
