/** What a container runtime's CNI plugin does on a cluster: no process of a pod runs before the mesh captures it. */
import { systemNamespace, type Pod } from '../../api/index.ts';
import { admitPod } from '../../cni/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { PodSandbox } from './pod-sandbox.ts';

export interface MeshAdmissionOptions {
  /** Folder of the node agent's socket. */
  readonly runDir: string;
  readonly pod: Pod;
  readonly uid: string;
  readonly sandbox: PodSandbox;
  /** Why the pod has to wait. */
  readonly onWait: (reason: string) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the pod is in the mesh, or need not be, or `signal` aborts. */
export async function awaitMesh(options: MeshAdmissionOptions): Promise<void> {
  const { runDir, pod, uid, sandbox, onWait, signal } = options;
  const { netnsPath: netns, podIps: ips } = sandbox;
  // The node's own namespace is never captured.
  if (netns === undefined) return;
  const { name = '', namespace = 'default' } = pod.metadata;
  const backoff = createBackoff({ initialMs: 100, maxMs: 2000 });
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  while (!signal.aborted) {
    try {
      const asked = { name, namespace, uid, netns, ips };
      const admitted = admitPod({ runDir, excludedNamespaces: ['kube-system'], systemNamespace, pod: asked });
      admitted.catch(() => {});
      return await Promise.race([admitted, ended]);
    } catch (error) {
      onWait(messageOf(error));
      await sleep(backoff.next(), signal);
    }
  }
}
