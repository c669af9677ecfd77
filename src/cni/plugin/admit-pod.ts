/** Whether a pod may start its containers: it is in the mesh by now, or does not want to be. The plugin and the local kubelet ask here. */
import { askAgent } from './agent-call.ts';

/** A refusal, with a code of the CNI specification: 11 is "try again later". */
export class PluginFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'PluginFailure';
    this.code = code;
  }
}

export interface PodToAdmit {
  readonly name: string;
  readonly namespace: string;
  readonly uid?: string;
  /** Path of its network namespace on the node. */
  readonly netns: string;
  readonly ips: readonly string[];
}

export interface AdmitOptions {
  readonly runDir: string;
  readonly excludedNamespaces: readonly string[];
  readonly systemNamespace: string;
  readonly pod: PodToAdmit;
}

const tryAgainLater = 11;

/** Resolves when the pod may go on. Throws PluginFailure with what is missing: the runtime tears the pod's network down and tries again. */
export async function admitPod(options: AdmitOptions): Promise<void> {
  const { runDir, excludedNamespaces, systemNamespace, pod } = options;
  if (excludedNamespaces.includes(pod.namespace)) return;
  // The agent must be able to start on a node where it does not run.
  if (pod.namespace === systemNamespace && pod.name.startsWith('istio-cni-node-')) return;
  const said = await askAgent(`${runDir}/pluginevent.sock`, pod);
  if (said.kind === 'admitted') return;
  const name = `${pod.namespace}/${pod.name}`;
  if (said.kind === 'refused') {
    throw new PluginFailure(tryAgainLater, `pod ${name} is not in the mesh yet: ${said.reason}`);
  }
  // Only now: TLS takes longer to load than all the rest.
  const { lookUpPod } = await import('./pod-lookup.ts');
  const found = await lookUpPod({ path: `${runDir}/api-access.json`, pod, excludedNamespaces });
  if (found.kind === 'outside') return;
  const why =
    found.kind === 'inside'
      ? 'it belongs to the mesh'
      : `whether it belongs to the mesh is not known (${found.reason})`;
  throw new PluginFailure(
    tryAgainLater,
    `pod ${name} has to wait for the node agent, which does not answer (${said.reason}): ${why}. Look at the pods istio-cni-node of namespace ${systemNamespace}`,
  );
}
