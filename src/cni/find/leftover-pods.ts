/** Finds pods that should be outside the mesh but have its rules: their annotation was gone when an earlier agent ended. */
import type { Pod } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { closeNetns, netnsIdentity, openNetns } from '../../net/index.ts';
import { podIpsOf } from '../enrolment.ts';
import type { RuleWriter } from '../rules/rule-writer.ts';
import type { PodNetnsFinder } from './pod-netns.ts';

export interface LeftoverPodsOptions {
  /** Those that should be outside. */
  readonly pods: readonly Pod[];
  readonly finder: Pick<PodNetnsFinder, 'find'>;
  readonly writer: Pick<RuleWriter, 'read'>;
  /** Identity of the agent's own namespace. */
  readonly homeNetns: string;
  readonly log: Log;
}

/** Pods that cannot be looked into are left out. */
export async function findLeftoverPods({ pods, ...looking }: LeftoverPodsOptions): Promise<Pod[]> {
  const candidates = pods.filter((pod) => pod.spec.hostNetwork !== true && podIpsOf(pod).length > 0);
  const found = await Promise.all(candidates.map((pod) => hasRules(pod, looking)));
  return candidates.filter((_pod, i) => found[i]);
}

async function hasRules(
  pod: Pod,
  { finder, writer, homeNetns, log }: Omit<LeftoverPodsOptions, 'pods'>,
): Promise<boolean> {
  let netns: number | undefined;
  try {
    netns = openNetns(finder.find(pod.metadata.uid ?? '', podIpsOf(pod)));
    return netnsIdentity(netns) !== homeNetns && (await writer.read(netns)) !== undefined;
  } catch (error) {
    log.debug('cannot look into pod', { pod: pod.metadata.name, error: messageOf(error) });
    return false;
  } finally {
    if (netns !== undefined) closeNetns(netns);
  }
}
