/** Finds pods that should be outside the mesh but have its rules: their annotation was gone when an earlier agent ended. */
import type { Pod } from '../../api/index.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
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

/** A node's pods are looked into a few at a time: each look is a process. */
const atOnce = 8;
const maxLooks = 3;

/** Pods that have no namespace are left out, and those that cannot be looked into, tried again. */
export async function findLeftoverPods({ pods, ...looking }: LeftoverPodsOptions): Promise<Pod[]> {
  const candidates = pods.filter((pod) => pod.spec.hostNetwork !== true && podIpsOf(pod).length > 0);
  const found: Pod[] = [];
  const waiting = candidates.values();
  const lookAtNext = async (): Promise<void> => {
    for (const pod of waiting) if (await hasRules(pod, looking)) found.push(pod);
  };
  await Promise.all(Array.from({ length: atOnce }, lookAtNext));
  return found;
}

/** A look that fails says nothing: whoever is left alone with rules by mistake reaches nobody. */
async function hasRules(pod: Pod, looking: Omit<LeftoverPodsOptions, 'pods'>): Promise<boolean> {
  for (let looks = 1; ; looks++) {
    try {
      return await look(pod, looking);
    } catch (error) {
      const isAbsent = codeOf(error) === 'net.netns-absent';
      if (!isAbsent && looks < maxLooks) continue;
      const fields = { pod: pod.metadata.name, namespace: pod.metadata.namespace, error: messageOf(error) };
      looking.log[isAbsent ? 'debug' : 'warn']('cannot look into pod', fields);
      return false;
    }
  }
}

async function look(pod: Pod, { finder, writer, homeNetns }: Omit<LeftoverPodsOptions, 'pods'>): Promise<boolean> {
  const netns = openNetns(finder.find(pod.metadata.uid ?? '', podIpsOf(pod)));
  try {
    return netnsIdentity(netns) !== homeNetns && (await writer.read(netns)) !== undefined;
  } finally {
    closeNetns(netns);
  }
}
