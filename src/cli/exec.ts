/** `ambit exec` */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { kinds, type Pod } from '../api/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import { childrenOf, planEnterNode, planEnterPod, requireRunning, type EnterPlan } from '../local/mesh/index.ts';
import {
  ExitCode,
  kubeconfigOption,
  openCluster,
  paths,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from './context.ts';

interface ExecOptions extends ClusterOptions {
  readonly namespace: string;
  readonly container?: string;
  readonly node?: string;
}

export function execCommand(context: CliContext): Command {
  return new Command('exec')
    .description("run a command inside a pod, or inside a node's network namespace")
    .usage('[options] POD|deploy/NAME -- CMD...\n       ambit exec --node NODE -- CMD...')
    .argument('[words...]', 'the pod, then the command after --')
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .option('-c, --container <name>', 'container of the pod (default: its first)')
    .option('--node <name>', "run in this node's network namespace")
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addHelpText(
      'after',
      '\nThe command gets the standard streams, and its exit code is that of ambit.\nExamples:\n  ambit exec deploy/productpage-v1 -- cat /etc/resolv.conf\n  ambit exec --node node-1 -- ip route',
    )
    .action(async (words: readonly string[], options: ExecOptions) => {
      throw new ExitCode(await run(await planFor(context, words, options)));
    });
}

async function planFor(context: CliContext, words: readonly string[], options: ExecOptions): Promise<EnterPlan> {
  const statePaths = paths(context, options);
  if (options.node !== undefined) {
    if (words.length === 0) throw usageError('No command: write ambit exec --node NODE -- CMD...');
    const env = Object.fromEntries(
      Object.entries(context.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    return planEnterNode(statePaths, { node: options.node, command: words, env });
  }
  const [target, ...command] = words;
  if (target === undefined || command.length === 0)
    throw usageError('No pod or no command: write ambit exec [-n NS] POD|deploy/NAME -- CMD...');
  requireRunning(statePaths);
  const client = openCluster(context, options);
  try {
    const pod = await findPod(client, target, options.namespace);
    return await planEnterPod(statePaths, {
      uid: pod.metadata.uid ?? '',
      node: pod.spec?.nodeName ?? '',
      pod: pod.metadata.name ?? '',
      command,
      ...(options.container === undefined ? {} : { container: options.container }),
    });
  } finally {
    await client.close();
  }
}

/** `NAME`, `pod/NAME`, `deploy/NAME`: of a Deployment, a pod that runs. */
async function findPod(client: KubeClient, target: string, namespace: string): Promise<Pod> {
  const slash = target.indexOf('/');
  const kind = slash < 0 ? 'pod' : target.slice(0, slash);
  const name = target.slice(slash + 1);
  try {
    if (['pod', 'pods', 'po'].includes(kind)) return await client.get(kinds.Pod, name, namespace);
    if (!['deploy', 'deployment', 'deployments'].includes(kind))
      throw usageError(`Cannot run in "${target}": write POD or deploy/NAME`);
    const deployment = await client.get(kinds.Deployment, name, namespace);
    const labels = Object.entries(deployment.spec?.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
    const pods = (await client.list(kinds.Pod, { namespace, labelSelector: labels.join(',') })).items;
    const running = pods.find((pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined);
    if (running) return running;
  } catch (error) {
    if (!isKubeError(error) || error.status !== 404) throw error;
    throw new AmbitError(`No ${kind} "${name}" in namespace "${namespace}": see 'kubectl get pods -A'`, {
      code: 'cli.no-pod',
      blame: 'downstream',
    });
  }
  throw new AmbitError(`No pod of "${target}" runs in namespace "${namespace}"`, {
    code: 'cli.no-pod',
    blame: 'downstream',
  });
}

/** Runs the plan with the caller's own standard streams; resolves to its exit code, 128 + N for signal N. */
async function run(plan: EnterPlan): Promise<number> {
  const { constants } = await import('node:os');
  const [program = '', ...args] = plan.command;
  // nsenter must be found with the caller's PATH, the command with the container's.
  const child = spawn(program, args, { stdio: 'inherit', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...plan.env } });
  // Each nsenter forks into a pid namespace and waits: a signal for the command must pass them by. A terminal's own reach all.
  const forward = (pid = child.pid, depth = plan.depth): void => {
    if (pid === undefined) return;
    if (depth === 0) process.kill(pid, 'SIGTERM');
    else for (const inner of childrenOf(pid)) forward(inner, depth - 1);
  };
  const onTerminate = (): void => forward();
  process.on('SIGTERM', onTerminate);
  return new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        new AmbitError(`Cannot run ${program}: ${codeOf(error) ?? messageOf(error)}`, {
          code: 'cli.exec',
          blame: 'internal',
        }),
      ),
    );
    child.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
  }).finally(() => process.off('SIGTERM', onTerminate));
}
