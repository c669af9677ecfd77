/** Pods that are being set up: whether they may go on, asked by the CNI plugin before any of their processes runs. */
import { kinds, type Namespace, type Pod } from '../api/index.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { dataplaneModeLabel, isTerminal, wantsMesh } from './enrolment.ts';
import type { PodToAdmit } from './plugin/admit-pod.ts';
import type { PodEnrolment } from './pod-enrolment.ts';

export interface AdmissionOptions {
  readonly client: Pick<KubeClient, 'get'>;
  readonly excludedNamespaces: readonly string[];
  /** Whether the agent has heard of all pods and namespaces. */
  readonly isStarted: () => boolean;
  /** What the agent follows; its watches may be behind. */
  readonly followedPod: (namespace: string, name: string) => Pod | undefined;
  readonly followedNamespace: (name: string) => Namespace | undefined;
  /** Takes the pod on, in the network namespace that the runtime made, if it is not yet. */
  readonly enrol: (pod: Pod, netns: string) => Pick<PodEnrolment, 'plan' | 'whenEnrolled' | 'lastFailure'>;
  /** The pod was admitted, and the API does not know it: it was deleted meanwhile. */
  readonly forget: (pod: Pod) => void;
  readonly signal: AbortSignal;
  /** Between two looks at what the agent follows; default 100 ms. */
  readonly pauseMs?: number;
  /** A pod that was admitted, and of which nobody heard by then, may have been deleted meanwhile; default 15 s. */
  readonly strangerMs?: number;
}

/** A pod that is set up waits this long for its ztunnel; then its runtime tries again, with a reason to show. */
const admissionMs = 10_000;
const namespaceAnswerMs = 3000;
const maxLooks = 20;
/** So long after a pod was admitted its watch should know of it. */
const defaultStrangerMs = 15_000;
const podAnswerMs = 5000;

export class PodAdmission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Resolves when the pod may go on. Throws `cni.starting`, `cni.replaced`, `cni.not-enrolled`, or what the API answers. */
  async admit(asked: PodToAdmit, gone: AbortSignal): Promise<{ enrolled: boolean }> {
    const { isStarted, followedNamespace, enrol, signal } = this.#options;
    if (!isStarted()) throw refusal(asked, 'the node agent is starting', 'cni.starting');
    const pod = await this.#podOf(asked);
    // Its labels decide: what we have not heard of says nothing.
    if (!followedNamespace(asked.namespace)) throw refusal(asked, 'its namespace is not known yet', 'cni.starting');
    if (isTerminal(pod) || !(await this.#isIn(pod, asked))) return { enrolled: false };
    // Whoever asked gave up, and may have asked again for another sandbox: what was asked for is of one that is torn down.
    if (gone.aborted) throw refusal(asked, 'nobody waits for it any more', 'cni.not-enrolled');
    const enrolment = enrol(pod, asked.netns);
    enrolment.plan(asked.ips);
    const deadline = AbortSignal.any([gone, signal, AbortSignal.timeout(admissionMs)]);
    if (await enrolment.whenEnrolled(deadline)) {
      this.#forgetStranger(pod);
      return { enrolled: true };
    }
    // Its labels changed while it waited. An enrolment may also end because its pod seemed to be gone: that lets nobody out.
    if (!deadline.aborted && !this.#stillWantsMesh(pod)) return { enrolled: false };
    throw refusal(asked, enrolment.lastFailure ?? 'it was not enrolled in time', 'cni.not-enrolled');
  }

  #stillWantsMesh(asked: Pod): boolean {
    const { excludedNamespaces, followedPod, followedNamespace } = this.#options;
    const { uid, namespace = '', name = '' } = asked.metadata;
    const followed = followedPod(namespace, name);
    const pod = followed?.metadata.uid === uid && followed ? followed : asked;
    return !isTerminal(pod) && wantsMesh(pod, followedNamespace(namespace), excludedNamespaces);
  }

  /**
   * A pod that is outside by what we follow is asked for: its namespace may have been labelled a moment ago. True only once
   * we follow that, too.
   */
  async #isIn(pod: Pod, asked: PodToAdmit): Promise<boolean> {
    const { client, excludedNamespaces, followedNamespace, signal } = this.#options;
    const { namespace } = asked;
    const isFollowed = (): boolean => wantsMesh(pod, followedNamespace(namespace), excludedNamespaces);
    if (isFollowed()) return true;
    const labelled = { metadata: { name: namespace, labels: { [dataplaneModeLabel]: 'ambient' } } };
    if (!wantsMesh(pod, labelled, excludedNamespaces)) return false;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(namespaceAnswerMs)]);
    const now = await client.get(kinds.Namespace, namespace, undefined, deadline);
    if (!wantsMesh(pod, now, excludedNamespaces)) return false;
    if (await this.#eventually(isFollowed)) return true;
    throw refusal(asked, 'the label of its namespace is not known yet', 'cni.starting');
  }

  /** From what we follow, else from the API: the runtime may be faster than our watch. */
  async #podOf(asked: PodToAdmit): Promise<Pod> {
    const { namespace, name, uid } = asked;
    const { client, followedPod, followedNamespace } = this.#options;
    const known = followedPod(namespace, name);
    if (known && uid !== undefined && known.metadata.uid === uid) return known;
    const pod = await client.get(kinds.Pod, name, namespace);
    if (uid !== undefined && pod.metadata.uid !== uid)
      throw refusal(asked, 'it was replaced by another one', 'cni.replaced');
    await this.#eventually(() => followedNamespace(namespace) !== undefined);
    return pod;
  }

  /** A moment, and we have heard of it. */
  async #eventually(check: () => boolean): Promise<boolean> {
    const { signal, pauseMs = 100 } = this.#options;
    for (let i = 0; i < maxLooks && !check(); i++) await sleep(pauseMs, signal);
    return check();
  }

  /** A watch that is behind or broken knows of nobody new, so the API is asked: nothing else is a reason to let go of a living pod. */
  #forgetStranger(pod: Pod): void {
    const { client, signal, followedPod, forget, strangerMs = defaultStrangerMs } = this.#options;
    const { uid, namespace = '', name = '' } = pod.metadata;
    const cancel = systemClock.after(strangerMs, () => {
      signal.removeEventListener('abort', cancel);
      if (followedPod(namespace, name)?.metadata.uid === uid) return;
      void client
        .get(kinds.Pod, name, namespace, AbortSignal.any([signal, AbortSignal.timeout(podAnswerMs)]))
        .then(
          (now) => now.metadata.uid !== uid,
          (error: unknown) => isKubeError(error, 'kube.not-found'),
        )
        .then((isGone) => {
          if (signal.aborted) return;
          if (isGone) forget(pod);
          else this.#forgetStranger(pod);
        });
    });
    signal.addEventListener('abort', cancel, { once: true });
  }
}

function refusal({ namespace, name }: PodToAdmit, problem: string, code: string): AmbitError {
  return new AmbitError(`Cannot admit pod ${namespace}/${name}: ${problem}`, { code, blame: 'internal' });
}
