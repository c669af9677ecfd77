/** What the cluster has that a word on the command line may name, for completion: asked in a moment, or not told at all. */
import { kinds, systemNamespace, type Pod } from '../api/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { openCluster, type CliContext, type ClusterOptions } from './context.ts';
import { containersOf } from './find-pod.ts';

/** What is known of the line so far. */
export interface CompletedLine {
  /** The command's full name. */
  readonly command: string;
  /** The words that are no options, without the command. */
  readonly operands: readonly string[];
  /** The long option whose value is asked for; absent: an operand is. */
  readonly option: string | undefined;
  /** Values of other options by long name, without the dashes. */
  readonly values: Readonly<Record<string, string | undefined>>;
}

type Source = (client: KubeClient, line: CompletedLine, signal: AbortSignal) => Promise<readonly string[]>;

/** Somebody waits with a finger on the key. */
const withinMs = 2000;
/** Of each kind: a longer list helps nobody to choose. */
const limit = 500;
/** Names are no more than this (RFC 1123), with what we write around them. Shells expand candidates: another text might be run. */
const harmless = /^[A-Za-z0-9._/-]+$/;
const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';

/** Empty where the word is nobody's name, there is no cluster, or it takes too long. Never rejects. */
export async function completedNames(context: CliContext, line: CompletedLine): Promise<readonly string[]> {
  const source = sourceOf(line);
  if (!source) return [];
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(withinMs)]);
  try {
    // Nobody is there to answer a credential plugin.
    const client = openCluster(context, clusterOptions(line), { isInteractive: false });
    try {
      return await source(client, line, signal);
    } finally {
      await client.close();
    }
  } catch {
    return [];
  }
}

function clusterOptions({ values: { state, kubeconfig, context } }: CompletedLine): ClusterOptions {
  return {
    ...(state === undefined ? {} : { state }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  };
}

const nodes: Source = async (client, _, signal) => namesOf((await client.list(kinds.Node, { limit, signal })).items);

const namespaces: Source = async (client, _, signal) =>
  namesOf((await client.list(kinds.Namespace, { limit, signal })).items);

const podsHere: Source = async (client, line, signal) =>
  namesOf((await client.list(kinds.Pod, { namespace: namespaceOf(line), limit, signal })).items);

const deployments: Source = async (client, line, signal) => {
  const { items } = await client.list(kinds.Deployment, { namespace: namespaceOf(line), limit, signal });
  return namesOf(items).map((name) => `deploy/${name}`);
};

const servicesHere: Source = async (client, line, signal) =>
  namesOf((await client.list(kinds.Service, { namespace: namespaceOf(line), limit, signal })).items);

const servicesToForward: Source = async (client, line, signal) =>
  (await servicesHere(client, line, signal)).map((name) => `svc/${name}`);

/** Of the whole cluster, as NAME.NAMESPACE; ztunnels by their names alone. */
const podsOfMesh: Source = async (client, _, signal) => {
  const { items } = await client.list(kinds.Pod, { limit, signal });
  return items.map((pod) => (isZtunnel(pod) ? (pod.metadata.name ?? '') : fullName(pod)));
};

/** L7 proxies by pod and by Gateway, as NAME.NAMESPACE, and as NAME in the namespace of the line. */
const proxies: Source = async (client, line, signal) => {
  const { items } = await client.list(kinds.Pod, { labelSelector: gatewayLabel, limit, signal });
  return items.flatMap((pod) => {
    const { name = '', namespace = '', labels } = pod.metadata;
    const names = [name, labels?.[gatewayLabel] ?? ''];
    return names.flatMap((each) => [...(namespace === namespaceOf(line) ? [each] : []), `${each}.${namespace}`]);
  });
};

const ztunnels: Source = async (client, _, signal) => {
  const { items } = await client.list(kinds.Pod, { namespace: systemNamespace, limit, signal });
  return items.filter(isZtunnel).map(fullName);
};

const gatewaysHere: Source = async (client, line, signal) =>
  namesOf((await client.list(kinds.Gateway, { namespace: namespaceOf(line), limit, signal })).items);

const containers: Source = async (client, line, signal) => {
  const [pod = ''] = line.operands;
  return containersOf(await client.get(kinds.Pod, pod, namespaceOf(line), signal));
};

/** Options that mean the same in every command. */
const byOption: Readonly<Record<string, readonly Source[]>> = {
  node: [nodes],
  namespace: [namespaces],
  container: [containers],
  from: [podsHere, deployments],
  to: [servicesHere],
};

/** Operands, by command and position. */
const byOperand: Readonly<Record<string, readonly (readonly Source[])[]>> = {
  exec: [[podsHere, deployments]],
  logs: [[podsHere, deployments]],
  'port-forward': [[podsHere, deployments, servicesToForward]],
  'proxy-config': [[], [proxies]],
  'proxy-status': [[proxies, ztunnels]],
  waypoint: [[], [gatewaysHere]],
  'ztunnel-config': [[], [podsOfMesh]],
};

function sourceOf({ command, operands, option }: CompletedLine): Source | undefined {
  const found = option === undefined ? byOperand[command]?.[operands.length] : byOption[option];
  if (!found || found.length === 0) return undefined;
  return async (...asked) => {
    // What a cluster does not have, or does not let us see, hides nothing else.
    const answers = await Promise.allSettled(found.map((source) => source(...asked)));
    const names = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    return [...new Set(names)].filter((name) => harmless.test(name)).toSorted();
  };
}

function namespaceOf({ values }: CompletedLine): string {
  return values['namespace'] ?? 'default';
}

function namesOf(items: readonly { readonly metadata: { readonly name?: string } }[]): string[] {
  return items.flatMap(({ metadata }) => metadata.name ?? []);
}

function fullName({ metadata: { name = '', namespace = '' } }: Pod): string {
  return `${name}.${namespace}`;
}

function isZtunnel({ metadata: { namespace, labels } }: Pod): boolean {
  return namespace === systemNamespace && labels?.['app'] === 'ztunnel';
}
