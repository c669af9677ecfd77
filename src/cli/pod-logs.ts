/** Logs of pods, as `pods/log` of the API has them. */
import { kinds, systemNamespace, type Pod } from '../api/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';
import { containersOf, findPods, noContainer, type PodTarget } from './find-pod.ts';

export interface PodLogOptions {
  readonly node?: string;
  readonly follow?: boolean;
  /** Only so many lines, the last ones. */
  readonly tail?: number;
  readonly container?: string;
}

/** Of a component's pods, by their label `app`. Throws `cli.no-pod`. */
export async function printComponentLogs(
  context: CliContext,
  client: KubeClient,
  { app, options }: { readonly app: string; readonly options: PodLogOptions },
): Promise<void> {
  const all = (await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: `app=${app}` })).items;
  const pods = onNode(all, app, options);
  await printAll(context, client, {
    pods,
    options,
    labelOf: ({ metadata, spec }) => (app === 'istiod' ? metadata.name : spec.nodeName),
  });
}

/** Of one pod, or of all that run of a Deployment. Throws `cli.no-pod` and `cli.no-container`. */
export async function printTargetLogs(
  context: CliContext,
  client: KubeClient,
  request: { readonly target: PodTarget; readonly namespace: string; readonly options: PodLogOptions },
): Promise<void> {
  const { target, namespace, options } = request;
  const pods = onNode(await findPods(client, target, namespace), target.name, options);
  await printAll(context, client, { pods, options, labelOf: ({ metadata }) => metadata.name });
}

function onNode(all: readonly Pod[], of: string, { node }: PodLogOptions): Pod[] {
  const pods = all.filter((pod) => node === undefined || pod.spec.nodeName === node);
  if (pods.length > 0) return pods;
  const where = node === undefined ? '' : ` on node "${node}"`;
  throw new AmbitError(`No ${of} pod${where}: see 'ambit status'`, { code: 'cli.no-pod', blame: 'downstream' });
}

interface PrintedPods {
  readonly pods: readonly Pod[];
  readonly options: PodLogOptions;
  /** What the lines of a pod begin with, where there are several. */
  readonly labelOf: (pod: Pod) => string | undefined;
}

async function printAll(context: CliContext, client: KubeClient, { pods, options, labelOf }: PrintedPods) {
  // None is printed in part for the fault of another.
  const logs = pods.map((pod) => ({ pod, path: logPath(pod, options) }));
  await Promise.all(
    logs.map(async ({ pod, path }) => {
      const response = await client.raw({ method: 'GET', path, signal: context.signal });
      if (response.status !== 200) {
        const detail = await response.body.text();
        throw new AmbitError(`Cannot read the log of ${pod.metadata.name}: ${response.status} ${detail}`, {
          code: 'cli.no-log',
          blame: 'upstream',
        });
      }
      await printLines(context, response.body, pods.length > 1 ? `[${labelOf(pod)}] ` : '');
    }),
  );
}

function logPath(pod: Pod, { container, follow, tail }: PodLogOptions): string {
  const { name, namespace } = pod.metadata;
  const containers = containersOf(pod);
  if (container !== undefined && !containers.includes(container)) throw noContainer(container, pod);
  const query = new URLSearchParams({
    container: container ?? containers[0] ?? '',
    ...(follow ? { follow: 'true' } : {}),
    ...(tail === undefined ? {} : { tailLines: String(tail) }),
  });
  return `/api/v1/namespaces/${namespace}/pods/${name}/log?${query}`;
}

async function printLines(context: CliContext, body: AsyncIterable<Uint8Array>, prefix: string): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) context.out.write(`${prefix}${line}\n`);
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
  if (rest !== '') context.out.write(`${prefix}${rest}\n`);
}
