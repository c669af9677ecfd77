/** `ambit logs` */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import {
  contextOption,
  kubeconfigOption,
  nodeOption,
  openCluster,
  parseCount,
  paths,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from './context.ts';
import { printFile } from './file-log.ts';
import { parseTarget } from './find-pod.ts';
import { printComponentLogs, printTargetLogs, type PodLogOptions } from './pod-logs.ts';

interface LogsOptions extends ClusterOptions, PodLogOptions {
  readonly namespace?: string;
}

/** Components that are Pods: the value of their label `app`. */
const podComponents: Readonly<Record<string, string>> = {
  control: 'istiod',
  ztunnel: 'ztunnel',
  'node-agent': 'istio-cni-node',
};

/** Processes of Kubernetes' own server. */
const ofKubernetes: ReadonlySet<string> = new Set(['etcd', 'controller-manager', 'scheduler']);

const components = [
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
];

export function logsCommand(context: CliContext): Command {
  return (
    new Command('logs')
      .description('print the log of a component, a pod or a Deployment')
      .usage('[options] COMPONENT|POD|deploy/NAME')
      // Any word may be a pod's name: the choices are for help and completion.
      .addArgument(
        new Argument('<target>', 'a component, POD or deploy/NAME').choices(components).argParser((word) => word),
      )
      .option('-n, --namespace <ns>', 'namespace of the pod (default: default)')
      .option('-c, --container <name>', 'container of the pod (default: its first)')
      .addOption(nodeOption())
      .option('-f, --follow', 'go on printing as it grows')
      .option('--tail <lines>', 'only so many lines, the last ones', parseCount)
      .addOption(stateOption())
      .addOption(kubeconfigOption())
      .addOption(contextOption())
      .addHelpText(
        'after',
        '\nIn a cluster there are `control`, `ztunnel` and `node-agent`; the other components are processes of a local mesh.\nThe logs of `ztunnel` and of a waypoint hold the access log. With several pods each line starts with the name of its node or pod.\nA pod that is called like a component is pod/NAME.\nThe API server has etcd, controller-manager and scheduler beside it only where `up` was given --kubernetes.\nExamples:\n  ambit logs ztunnel --node node-1 -f\n  ambit logs -n shop deploy/waypoint --tail 20 -f',
      )
      .action(async (word: string, options: LogsOptions) => {
        if (!components.includes(word)) return printPods(context, word, options);
        if (options.namespace !== undefined || options.container !== undefined)
          throw usageError(
            `"${word}" is a component, without --namespace and --container: write pod/${word} for a pod`,
          );
        await printComponent(context, word, options);
      })
  );
}

async function printPods(context: CliContext, word: string, options: LogsOptions): Promise<void> {
  const target = parseTarget(word, ['pod', 'deploy']);
  const client = openCluster(context, options);
  try {
    await printTargetLogs(context, client, { target, namespace: options.namespace ?? 'default', options });
  } catch (error) {
    // A component may have been meant.
    if (codeOf(error) !== 'cli.no-pod' || word.includes('/')) throw error;
    throw new AmbitError(`${messageOf(error)}; components are ${components.join(', ')}`, {
      code: 'cli.no-pod',
      blame: 'downstream',
    });
  } finally {
    await client.close();
  }
}

async function printComponent(context: CliContext, component: string, options: LogsOptions): Promise<void> {
  const app = podComponents[component];
  if (app === undefined || (component === 'control' && isLocalProcess(context, options))) {
    const { follow, tail } = options;
    const whyNone = ofKubernetes.has(component)
      ? `${component} runs only where 'ambit up' was given --kubernetes`
      : 'has the mesh been started?';
    return printFile(context, { path: logPath(context, component, options), follow, tail, whyNone });
  }
  const client = openCluster(context, options);
  try {
    await printComponentLogs(context, client, { app, options });
  } finally {
    await client.close();
  }
}

/** The control plane of a whole local mesh is a process beside its nodes; elsewhere it is Pods. */
function isLocalProcess(context: CliContext, options: LogsOptions): boolean {
  if (options.kubeconfig !== undefined || options.context !== undefined) return false;
  if (existsSync(logPath(context, 'control', options))) return true;
  return !context.env['KUBECONFIG'] && !existsSync(paths(context, options).kubeconfig);
}

function logPath(context: CliContext, component: string, options: LogsOptions): string {
  const { logs } = paths(context, options);
  if (component === 'supervisor' || component === 'forwarder') return join(logs, 'init.log');
  if (component !== 'node-runtime') return join(logs, `${component}.log`);
  if (options.node === undefined) throw usageError('Which node? Add --node NAME');
  return join(logs, `node-runtime-${options.node}.log`);
}
