/** Takes the taint `cni.istio.io/not-ready` off nodes whose agent is ready: clusters whose nodes come with it start no pod outside of the mesh. */
import { kinds, type Pod } from '../api/index.ts';
import { isKubeError, startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export const notReadyTaint = 'cni.istio.io/not-ready';
const agentLabels = 'k8s-app=istio-cni-node';

export interface NodeUntaintOptions {
  readonly client: KubeClient;
  /** Of the node agents. */
  readonly namespace: string;
  readonly isLeader: () => boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface NodeUntaint {
  /** This replica leads from now on. */
  check(): void;
}

/** Nobody puts the taint there but whoever sets nodes up (a cloud's node pool, kubelet's --register-with-taints). */
export function startNodeUntaint(options: NodeUntaintOptions): NodeUntaint {
  const { client, namespace, isLeader, signal, log } = options;
  const reconcile = async (name: string): Promise<void> => {
    if (!isLeader() || ![...agents.store.values()].some((pod) => pod.spec.nodeName === name && isReady(pod))) return;
    try {
      const { metadata, spec } = await client.get(kinds.Node, name, undefined, signal);
      const taints = spec?.taints ?? [];
      const rest = taints.filter(({ key }) => key !== notReadyTaint);
      if (rest.length === taints.length) return;
      const { resourceVersion } = metadata;
      // Somebody else may change taints at this moment: then the version is another, and we look again.
      const patch = {
        metadata: resourceVersion === undefined ? {} : { resourceVersion },
        spec: { taints: rest.length === 0 ? null : rest },
      };
      await client.patch(kinds.Node, name, undefined, patch, { type: 'merge', signal });
      log.info('node is ready for pods of the mesh', { node: name, taint: notReadyTaint });
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  };
  const queue = createWorkQueue({ name: 'node taints', reconcile, signal, log });
  const consider = (pod: Pod): void => {
    if (isReady(pod) && pod.spec.nodeName !== undefined) queue.add(pod.spec.nodeName);
  };
  const agents: Informer<Pod> = startInformer(client, kinds.Pod, {
    namespace,
    labelSelector: agentLabels,
    signal,
    log,
    onAdd: consider,
    onUpdate: (_before, pod) => consider(pod),
    onDelete() {},
  });
  return {
    check() {
      for (const pod of agents.store.values()) consider(pod);
    },
  };
}

function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');
}
