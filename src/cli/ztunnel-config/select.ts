/** Which ztunnels a command is about: all, one of a node, one by name, or the one that serves a pod. */
import { kinds, systemNamespace, type Pod } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { AmbitError } from '../../lib/errors.ts';

export interface Ztunnel {
  readonly node: string;
  readonly pod: string;
  readonly namespace: string;
}

export interface Selection {
  /** By node. Never empty. */
  readonly ztunnels: readonly Ztunnel[];
  /** The pod that was asked for, where it is no ztunnel: the answer is about this one alone. */
  readonly workload: SelectedPod | undefined;
}

export interface SelectedPod {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Throws `cli.no-ztunnel` or `cli.no-pod`. */
export async function findZtunnels(
  client: KubeClient,
  wanted: { readonly node: string | undefined; readonly pod: string | undefined },
): Promise<Selection> {
  const all = await allZtunnels(client);
  if (all.length === 0) {
    throw noZtunnel(`No ztunnel pod in ${systemNamespace}: is a mesh installed there? See 'ambit status'`);
  }
  const { pod } = wanted;
  if (pod === undefined) return { ztunnels: onNode(all, wanted.node), workload: undefined };
  const [name, namespace] = splitName(pod);
  const named = all.filter((ztunnel) => ztunnel.pod === name && (namespace ?? ztunnel.namespace) === ztunnel.namespace);
  if (named.length > 0) return { ztunnels: onNode(named, wanted.node), workload: undefined };
  const found = await findWorkload(client, name, namespace);
  const node = found.spec?.nodeName;
  if (node === undefined) throw noPod(`Pod "${pod}" is not on a node yet`);
  const serviceAccount = found.spec.serviceAccountName || 'default';
  return {
    ztunnels: onNode(all, node),
    workload: { name, namespace: found.metadata.namespace ?? '', serviceAccount },
  };
}

async function allZtunnels(client: KubeClient): Promise<Ztunnel[]> {
  const pods = (await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=ztunnel' })).items;
  return pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => ({ node: pod.spec?.nodeName ?? '', pod: pod.metadata.name ?? '', namespace: systemNamespace }))
    .toSorted((a, b) => a.node.localeCompare(b.node));
}

function onNode(ztunnels: readonly Ztunnel[], node: string | undefined): readonly Ztunnel[] {
  const found = ztunnels.filter((ztunnel) => node === undefined || ztunnel.node === node);
  if (found.length > 0) return found;
  const known = ztunnels.map((ztunnel) => ztunnel.node).join(', ');
  throw noZtunnel(`No ztunnel on node "${node}": there are ztunnels on ${known}`);
}

async function findWorkload(client: KubeClient, name: string, namespace = 'default'): Promise<Pod> {
  try {
    return await client.get(kinds.Pod, name, namespace);
  } catch (error) {
    if (!isKubeError(error) || error.status !== 404) throw error;
    throw noPod(`No pod "${name}" in namespace "${namespace}", and no ztunnel of this name: write NAME.NAMESPACE`);
  }
}

/** `NAME.NAMESPACE`; names of pods may have dots, those of namespaces have none. */
function splitName(word: string): [string, string | undefined] {
  const dot = word.lastIndexOf('.');
  return dot < 0 ? [word, undefined] : [word.slice(0, dot), word.slice(dot + 1)];
}

function noZtunnel(message: string): AmbitError {
  return new AmbitError(message, { code: 'cli.no-ztunnel', blame: 'downstream' });
}

function noPod(message: string): AmbitError {
  return new AmbitError(message, { code: 'cli.no-pod', blame: 'downstream' });
}
