/** `ambit logs` */
import { createReadStream, existsSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { kinds, systemNamespace } from '../api/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import {
  contextOption,
  kubeconfigOption,
  nodeOption,
  openCluster,
  paths,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from './context.ts';

interface LogsOptions extends ClusterOptions {
  readonly node?: string;
  readonly follow?: boolean;
}

/** Components that are Pods: the value of their label `app`. */
const podComponents: Readonly<Record<string, string>> = {
  control: 'istiod',
  ztunnel: 'ztunnel',
  'node-agent': 'istio-cni-node',
};

export function logsCommand(context: CliContext): Command {
  return new Command('logs')
    .description('print the log of a component')
    .addArgument(
      new Argument('<component>', 'whose log').choices([
        'control',
        'ztunnel',
        'node-agent',
        'apiserver',
        'etcd',
        'controller-manager',
        'scheduler',
        'node-runtime',
        'supervisor',
        'forwarder',
      ]),
    )
    .addOption(nodeOption())
    .option('-f, --follow', 'go on printing as it grows')
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      "\nIn a cluster there are `control`, `ztunnel` and `node-agent`; the others are processes of a local mesh.\nThe log of `ztunnel` holds the access log. With several nodes each line starts with its node's name.\nThe API server has etcd, controller-manager and scheduler beside it only where `up` was given --kubernetes.\nExample:\n  ambit logs ztunnel --node node-1 -f",
    )
    .action(async (component: string, options: LogsOptions) => {
      const app = podComponents[component];
      if (app === undefined || (component === 'control' && isLocalProcess(context, options)))
        return printFile(context, { component, path: logPath(context, component, options), follow: options.follow });
      const client = openCluster(context, options);
      try {
        await printPodLogs(context, client, { app, options });
      } finally {
        await client.close();
      }
    });
}

/** The control plane of a whole local mesh is a process beside its nodes; elsewhere it is Pods. */
function isLocalProcess(context: CliContext, options: LogsOptions): boolean {
  if (options.kubeconfig !== undefined || options.context !== undefined) return false;
  if (existsSync(logPath(context, 'control', options))) return true;
  return !context.env['KUBECONFIG'] && !existsSync(paths(context, options).kubeconfig);
}

async function printPodLogs(
  context: CliContext,
  client: KubeClient,
  which: { app: string; options: LogsOptions },
): Promise<void> {
  const { app, options } = which;
  const all = (await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: `app=${app}` })).items;
  const pods = all.filter((pod) => options.node === undefined || pod.spec?.nodeName === options.node);
  if (pods.length === 0) {
    const where = options.node === undefined ? '' : ` on node "${options.node}"`;
    throw new AmbitError(`No ${app} pod${where}: see 'ambit status'`, { code: 'cli.no-pod', blame: 'downstream' });
  }
  await Promise.all(
    pods.map(async (pod) => {
      const prefix = pods.length > 1 ? `[${app === 'istiod' ? pod.metadata.name : pod.spec?.nodeName}] ` : '';
      const query = new URLSearchParams({
        // Others beside it are its helpers.
        container: pod.spec?.containers[0]?.name ?? '',
        ...(options.follow ? { follow: 'true' } : {}),
      });
      const path = `/api/v1/namespaces/${systemNamespace}/pods/${pod.metadata.name}/log?${query}`;
      const response = await client.raw({ method: 'GET', path, signal: context.signal });
      if (response.status !== 200) {
        const detail = await response.body.text();
        throw new AmbitError(`Cannot read the log of ${pod.metadata.name}: ${response.status} ${detail}`, {
          code: 'cli.no-log',
          blame: 'upstream',
        });
      }
      await printLines(context, response.body, prefix);
    }),
  );
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

function logPath(context: CliContext, component: string, options: LogsOptions): string {
  const { logs } = paths(context, options);
  if (component === 'supervisor' || component === 'forwarder') return join(logs, 'init.log');
  if (component !== 'node-runtime') return join(logs, `${component}.log`);
  if (options.node === undefined) throw usageError('Which node? Add --node NAME');
  return join(logs, `node-runtime-${options.node}.log`);
}

/** Processes of Kubernetes' own server. */
const ofKubernetes: ReadonlySet<string> = new Set(['etcd', 'controller-manager', 'scheduler']);

async function printFile(
  context: CliContext,
  { component, path, follow }: { component: string; path: string; follow: boolean | undefined },
): Promise<void> {
  let offset = 0;
  const printRest = async (): Promise<void> => {
    for await (const chunk of createReadStream(path, { start: offset })) {
      offset += (chunk as Buffer).length;
      context.out.write(chunk as Buffer);
    }
  };
  try {
    statSync(path);
  } catch {
    const why = ofKubernetes.has(component)
      ? `${component} runs only where 'ambit up' was given --kubernetes`
      : 'has the mesh been started?';
    throw new AmbitError(`No log at ${path}: ${why}`, { code: 'cli.no-log', blame: 'downstream' });
  }
  await printRest();
  if (!follow) return;
  const watcher = watch(path, { signal: context.signal });
  let queue = Promise.resolve();
  watcher.on('change', () => {
    queue = queue.then(printRest, () => undefined);
  });
  await new Promise((resolve) => {
    watcher.on('close', resolve);
    watcher.on('error', resolve);
  });
}
