/** Which pod a word on the command line means: `POD`, `pod/NAME`, `deploy/NAME`, `svc/NAME`. */
import { kinds, type Pod } from '../api/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import { usageError } from './context.ts';

export interface PodTarget {
  readonly kind: 'pod' | 'deploy' | 'svc';
  readonly name: string;
}

const kindWords: Readonly<Record<string, PodTarget['kind']>> = {
  pod: 'pod',
  pods: 'pod',
  po: 'pod',
  deploy: 'deploy',
  deployment: 'deploy',
  deployments: 'deploy',
  svc: 'svc',
  service: 'svc',
  services: 'svc',
};

/** Throws `cli.usage` for a kind that is none of `allowed`. */
export function parseTarget(word: string, allowed: readonly PodTarget['kind'][]): PodTarget {
  const slash = word.indexOf('/');
  const kind = slash < 0 ? 'pod' : kindWords[word.slice(0, slash)];
  const name = word.slice(slash + 1);
  if (kind === undefined || !allowed.includes(kind) || name === '') {
    const forms = allowed.map((each) => (each === 'pod' ? 'POD' : `${each}/NAME`));
    throw usageError(`Cannot use "${word}": write ${forms.join(' or ')}`);
  }
  return { kind, name };
}

/** The pod, or one of the Deployment's or Service's that runs, a ready one first. Throws `cli.no-pod`. */
export async function findPod(client: KubeClient, target: PodTarget, namespace: string): Promise<Pod> {
  const pods = await findPods(client, target, namespace);
  return pods.find(isPodReady) ?? (pods[0] as Pod);
}

/** The pod, or all of the Deployment's or Service's that run: at least one. Throws `cli.no-pod`. */
export async function findPods(client: KubeClient, target: PodTarget, namespace: string): Promise<readonly Pod[]> {
  try {
    if (target.kind === 'pod') return [await client.get(kinds.Pod, target.name, namespace)];
    const labels = await selectorOf(client, target, namespace);
    const labelSelector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    // A selector without labels would select all.
    const pods =
      labelSelector.length === 0
        ? []
        : (await client.list(kinds.Pod, { namespace, labelSelector: labelSelector.join(',') })).items;
    const running = pods.filter(
      (pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined,
    );
    if (running.length > 0) return running;
  } catch (error) {
    if (!isKubeError(error) || error.status !== 404) throw error;
    throw noPod(target, namespace);
  }
  throw new AmbitError(`No pod of "${target.kind}/${target.name}" runs in namespace "${namespace}"`, {
    code: 'cli.no-pod',
    blame: 'downstream',
  });
}

/** Names of its containers, its own choice of a default first. */
export function containersOf({ metadata, spec }: Pod): string[] {
  const names = [...spec.containers, ...(spec.initContainers ?? [])].map((container) => container.name);
  const chosen = metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  return chosen !== undefined && names.includes(chosen) ? [chosen, ...names.filter((each) => each !== chosen)] : names;
}

/** The error of a container that a pod does not have. */
export function noContainer(container: string, pod: Pod): AmbitError {
  const has = containersOf(pod).join(', ');
  return new AmbitError(`No container "${container}" in pod "${pod.metadata.name}": it has ${has}`, {
    code: 'cli.no-container',
    blame: 'downstream',
  });
}

/** The error of a target that is not there. */
export function noPod(target: PodTarget, namespace: string): AmbitError {
  const { kind, name } = target;
  return new AmbitError(`No ${kind} "${name}" in namespace "${namespace}": see 'kubectl get ${kind} -A'`, {
    code: 'cli.no-pod',
    blame: 'downstream',
  });
}

async function selectorOf(
  client: KubeClient,
  target: PodTarget,
  namespace: string,
): Promise<Readonly<Record<string, string>>> {
  if (target.kind === 'svc') return (await client.get(kinds.Service, target.name, namespace)).spec?.selector ?? {};
  return (await client.get(kinds.Deployment, target.name, namespace)).spec?.selector.matchLabels ?? {};
}

export function isPodReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}
