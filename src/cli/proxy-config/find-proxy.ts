/** Which proxy a word on the command line means: a pod, or one of a Deployment's or a Gateway's pods. */
import { kinds, type Pod } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { PodName } from '../admin-call.ts';
import { usageError } from '../context.ts';
import { findPod, isPodReady } from '../find-pod.ts';

const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';

/** `POD`, `deploy/NAME` or the name of a Gateway, each with `.NAMESPACE` or without. Throws `cli.no-proxy`. */
export async function findProxy(client: KubeClient, word: string, namespace: string): Promise<PodName> {
  const [kind, name] = word.includes('/') ? (word.split('/', 2) as [string, string]) : ['pod', word];
  if (!['pod', 'deploy', 'deployment', 'gateway', 'gtw'].includes(kind) || name === '') {
    throw usageError(
      `Cannot use "${word}": write POD, deploy/NAME or gateway/NAME, with .NAMESPACE where it is another`,
    );
  }
  for (const asked of meanings(name, namespace)) {
    const found = await podOf(client, kind, asked);
    if (found) return { pod: found.metadata.name ?? '', namespace: asked.namespace };
  }
  throw new AmbitError(
    `No proxy "${word}" in namespace "${namespace}": see 'ambit proxy-status' for all, and write NAME.NAMESPACE`,
    { code: 'cli.no-proxy', blame: 'downstream' },
  );
}

interface Name {
  readonly name: string;
  readonly namespace: string;
}

/** Names of pods may have dots, those of namespaces have none. */
function meanings(word: string, namespace: string): readonly Name[] {
  const dot = word.lastIndexOf('.');
  const plain = { name: word, namespace };
  return dot < 0 ? [plain] : [{ name: word.slice(0, dot), namespace: word.slice(dot + 1) }, plain];
}

async function podOf(client: KubeClient, kind: string, { name, namespace }: Name): Promise<Pod | undefined> {
  try {
    if (kind === 'deploy' || kind === 'deployment') return await findPod(client, { kind: 'deploy', name }, namespace);
    if (kind === 'pod') return await client.get(kinds.Pod, name, namespace);
  } catch (error) {
    const isAbsent = isKubeError(error) ? error.status === 404 : (error as AmbitError).code === 'cli.no-pod';
    if (!isAbsent) throw error;
    if (kind !== 'pod') return undefined;
  }
  const { items } = await client.list(kinds.Pod, { namespace, labelSelector: `${gatewayLabel}=${name}` });
  const running = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return running.find(isPodReady) ?? running[0];
}
