/** What the node agent follows of the API, the pods of its node above all, and what each of these should be by that. */
import { kinds, type KindRef, type Namespace, type Pod } from '../api/index.ts';
import { startInformer, type Informer, type InformerMetrics, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import type { Goal } from './enrolment-context.ts';
import { isTerminal, wantsMesh } from './enrolment.ts';
import type { NetworkPolicy } from './health/network-policy.ts';

export interface FollowedObjectsOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly excludedNamespaces: readonly string[];
  /** The pod, or its namespace, is new or changed. */
  readonly onPod: (pod: Pod) => void;
  readonly onPodGone: (pod: Pod) => void;
  /** NetworkPolicies of this namespace changed. */
  readonly onPolicies: (namespace: string | undefined) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class FollowedObjects {
  readonly #options: FollowedObjectsOptions;
  #pods: Informer<Pod> | undefined;
  #namespaces: Informer<Namespace> | undefined;
  #policies: Informer<NetworkPolicy> | undefined;

  constructor(options: FollowedObjectsOptions) {
    this.#options = options;
  }

  /** Resolves once all pods and namespaces were heard of. */
  async start(metrics: InformerMetrics): Promise<void> {
    const { client, nodeName, onPod, onPodGone, onPolicies, log, signal } = this.#options;
    const onNamespace = ({ metadata }: Namespace): void => {
      for (const pod of this.pods()) if (pod.metadata.namespace === metadata.name) onPod(pod);
    };
    const namespaces = startInformer(client, kinds.Namespace, {
      signal,
      metrics,
      log,
      onAdd: onNamespace,
      onUpdate: (_before, namespace) => onNamespace(namespace),
      onDelete: onNamespace,
    });
    const pods = startInformer(client, kinds.Pod, {
      signal,
      metrics,
      log,
      fieldSelector: `spec.nodeName=${nodeName}`,
      onAdd: onPod,
      onUpdate: (_before, pod) => onPod(pod),
      onDelete: onPodGone,
    });
    const onPolicy = (policy: NetworkPolicy): void => onPolicies(policy.metadata.namespace);
    const policies = startInformer(client, kinds.NetworkPolicy as KindRef<NetworkPolicy>, {
      signal,
      metrics,
      log,
      onAdd: onPolicy,
      onUpdate: (_before, policy) => onPolicy(policy),
      onDelete: onPolicy,
    });
    [this.#namespaces, this.#pods, this.#policies] = [namespaces, pods, policies];
    await Promise.all([namespaces.synced, pods.synced]);
  }

  pods(): Iterable<Pod> {
    return this.#pods?.store.values() ?? [];
  }

  policies(): Iterable<NetworkPolicy> {
    return this.#policies?.store.values() ?? [];
  }

  pod(namespace: string, name: string): Pod | undefined {
    return this.#pods?.store.get(`${namespace}/${name}`);
  }

  namespace(name: string): Namespace | undefined {
    return this.#namespaces?.store.get(name);
  }

  goalOf(pod: Pod): Goal {
    if (isTerminal(pod)) return 'gone';
    const namespace = this.namespace(pod.metadata.namespace ?? '');
    return wantsMesh(pod, namespace, this.#options.excludedNamespaces) ? 'in' : 'out';
  }
}
