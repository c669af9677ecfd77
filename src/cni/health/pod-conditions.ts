/** What is wrong with a pod's part in the mesh, as conditions of the Pod: there while it is wrong, and gone after. */
import { kinds, type CoreCondition, type Pod } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export const problemTypes = [
  'ambit.io/NetworkPolicyBlocksMesh',
  'ambit.io/ProbesBlocked',
  'ambit.io/InvalidCaptureSettings',
  'ambit.io/ConnectionsBeforeMesh',
] as const;

export type ProblemType = (typeof problemTypes)[number];

export interface PodProblem {
  /** CamelCase, for machines. */
  readonly reason: string;
  /** What is wrong and what to do. */
  readonly message: string;
}

export interface PodConditionsOptions {
  readonly client: Pick<KubeClient, 'patch'>;
  readonly now: () => Date;
  /** A problem is new, or says something else than before. */
  readonly onProblem: (pod: Pod, type: ProblemType, problem: PodProblem) => void;
  readonly log: Log;
}

interface Entry {
  readonly wanted: Map<ProblemType, PodProblem>;
  busy: boolean;
}

const maxMessage = 1000;

export class PodConditions {
  readonly #options: PodConditionsOptions;
  readonly #pods = new Map<string, Entry>();

  constructor(options: PodConditionsOptions) {
    this.#options = options;
  }

  /** Says that the pod has this problem, or has it no more; `sync` follows. */
  set(pod: Pod, type: ProblemType, problem: PodProblem | undefined): void {
    const { wanted } = this.#entry(pod);
    const before = wanted.get(type);
    if (!problem) {
      wanted.delete(type);
    } else {
      wanted.set(type, problem);
      // One that the pod shows already was told before this agent started.
      const shown = pod.status?.conditions?.find((each) => each.type === type);
      if (before?.message !== problem.message && shown?.message !== problem.message.slice(0, maxMessage))
        this.#options.onProblem(pod, type, problem);
    }
    this.sync(pod);
  }

  /** Compares with what the Pod shows, which other writers of its status may have changed, and writes the difference. */
  sync(pod: Pod): void {
    const entry = this.#entry(pod);
    const changes = this.#changes(pod, entry.wanted);
    if (changes.length === 0 || entry.busy) return;
    entry.busy = true;
    const { name = '', namespace, uid } = pod.metadata;
    const patch = { metadata: uid === undefined ? {} : { uid }, status: { conditions: changes } };
    this.#options.client
      .patch(kinds.Pod, name, namespace, patch, { type: 'strategic', subresource: 'status', fieldManager: 'istio-cni' })
      .catch((error: unknown) =>
        this.#options.log.debug('cannot write conditions of a pod', { error: messageOf(error) }),
      )
      .finally(() => (entry.busy = false));
  }

  forget(uid: string): void {
    this.#pods.delete(uid);
  }

  #entry(pod: Pod): Entry {
    const uid = pod.metadata.uid ?? '';
    const entry = this.#pods.get(uid) ?? { wanted: new Map<ProblemType, PodProblem>(), busy: false };
    this.#pods.set(uid, entry);
    return entry;
  }

  #changes(pod: Pod, wanted: ReadonlyMap<ProblemType, PodProblem>): Record<string, unknown>[] {
    const shown = new Map<string, CoreCondition>((pod.status?.conditions ?? []).map((each) => [each.type, each]));
    return problemTypes.flatMap((type): Record<string, unknown>[] => {
      const [problem, current] = [wanted.get(type), shown.get(type)];
      if (!problem) return current ? [{ type, $patch: 'delete' }] : [];
      const message = problem.message.slice(0, maxMessage);
      if (current?.status === 'True' && current.message === message) return [];
      const lastTransitionTime = this.#options
        .now()
        .toISOString()
        .replace(/\.\d+Z$/, 'Z');
      return [{ type, status: 'True', reason: problem.reason, message, lastTransitionTime }];
    });
  }
}
