/** `ambit exec`: through the API's `pods/exec`, so for any cluster; `--node` enters a local node. */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { finished } from 'node:stream/promises';
import { Command } from 'commander';
import { kinds } from '../api/index.ts';
import { isKubeError, openExec, type KubeClient, type RemoteCommand } from '../kube/index.ts';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import { childrenOf, planEnterNode, type EnterPlan } from '../local/mesh/index.ts';
import {
  ExitCode,
  contextOption,
  kubeconfigOption,
  openCluster,
  paths,
  stateOption,
  usageError,
  type CliContext,
  type ClusterOptions,
} from './context.ts';
import { containersOf, findPod, noContainer, noPod, parseTarget, type PodTarget } from './find-pod.ts';

interface ExecCliOptions extends ClusterOptions {
  readonly namespace: string;
  readonly container?: string;
  readonly node?: string;
  readonly tty?: boolean;
}

export function execCommand(context: CliContext): Command {
  return new Command('exec')
    .description("run a command inside a pod, or inside a node's network namespace")
    .usage('[options] POD|deploy/NAME -- CMD...\n       ambit exec --node NODE -- CMD...')
    .argument('[words...]', 'the pod, then the command after --')
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .option('-c, --container <name>', 'container of the pod (default: its first)')
    .option('-i, --stdin', 'pass standard input, which is always done')
    .option('-t, --tty', 'run it on a terminal (default: when standard input and output are one)')
    .option('-T, --no-tty', 'run it without a terminal')
    .option('--node <name>', "run in this node's network namespace (local mesh)")
    .addOption(stateOption())
    .addOption(kubeconfigOption())
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nThe command gets the standard streams, and its exit code is that of ambit.\nExamples:\n  ambit exec deploy/productpage-v1 -- cat /etc/resolv.conf\n  ambit exec -it deploy/productpage-v1 -- bash\n  ambit exec --node node-1 -- ip route',
    )
    .action(async (words: readonly string[], options: ExecCliOptions) => {
      if (options.node !== undefined) throw new ExitCode(await runOnNode(context, words, options.node, options));
      const [word, ...command] = words;
      if (word === undefined || command.length === 0)
        throw usageError('No pod or no command: write ambit exec [-n NS] POD|deploy/NAME -- CMD...');
      const target = parseTarget(word, ['pod', 'deploy']);
      const client = openCluster(context, options);
      try {
        throw new ExitCode(await runInPod(context, client, { target, command, options }));
      } finally {
        await client.close();
      }
    });
}

interface PodCommand {
  readonly target: PodTarget;
  readonly command: readonly string[];
  readonly options: ExecCliOptions;
}

async function runInPod(context: CliContext, client: KubeClient, request: PodCommand): Promise<number> {
  const { stdin, stdout } = process;
  const tty = request.options.tty ?? (stdin.isTTY && stdout.isTTY);
  // Which signal it was is for the exit code alone: the context's own handler aborts.
  let signal: NodeJS.Signals = 'SIGINT';
  const onTerm = (): void => void (signal = 'SIGTERM');
  process.once('SIGTERM', onTerm);
  const remote = await open(client, request, tty);
  const stop = (): void => remote.close();
  context.signal.addEventListener('abort', stop, { once: true });
  if (context.signal.aborted) stop();
  const resize = (): void => {
    if (stdout.isTTY) remote.resize(stdout.columns, stdout.rows);
  };
  const isRaw = tty && stdin.isTTY;
  if (isRaw) enterRawMode(stdin);
  if (tty) {
    resize();
    stdout.on('resize', resize);
  }
  stdin.on('error', () => remote.stdin.end());
  stdin.pipe(remote.stdin);
  remote.stdout.pipe(context.out, { end: false });
  remote.stderr.pipe(context.err, { end: false });
  try {
    const exitCode = await remote.exitCode;
    await Promise.all([remote.stdout, remote.stderr].map((stream) => finished(stream)));
    return exitCode;
  } catch (error) {
    if (context.signal.aborted) return 128 + constants.signals[signal];
    throw error;
  } finally {
    process.off('SIGTERM', onTerm);
    stdout.off('resize', resize);
    if (isRaw) stdin.setRawMode(false);
    stdin.unpipe().destroy();
  }
}

/** Every byte goes as it is, both ways; Node's raw mode alone would still turn line feeds into two characters. */
function enterRawMode(stdin: NodeJS.ReadStream): void {
  stdin.setRawMode(true);
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** Asks for the pod only when the server does not know what is meant: a call less for nearly every command. */
async function open(client: KubeClient, request: PodCommand, tty: boolean): Promise<RemoteCommand> {
  const { target, command, options } = request;
  const { namespace } = options;
  const pod = target.kind === 'pod' ? target.name : ((await findPod(client, target, namespace)).metadata.name ?? '');
  const attempt = (container: string | undefined): Promise<RemoteCommand> =>
    openExec(client, { namespace, pod, command, stdin: true, tty, ...(container === undefined ? {} : { container }) });
  try {
    return await attempt(options.container);
  } catch (error) {
    if (!isKubeError(error)) throw error;
    if (error.status === 404) throw noPod({ kind: 'pod', name: pod }, namespace);
    const found = error.status === 400 ? await client.get(kinds.Pod, pod, namespace) : undefined;
    const containers = found ? containersOf(found) : [];
    const { container } = options;
    if (container === undefined && containers.length > 1) return attempt(containers[0]);
    if (found && container !== undefined && !containers.includes(container)) throw noContainer(container, found);
    if (/container not found/.test(error.message)) {
      const which = options.container === undefined ? 'The container' : `Container "${options.container}"`;
      throw new AmbitError(`${which} of pod "${pod}" does not run: see 'kubectl describe pod ${pod} -n ${namespace}'`, {
        code: 'cli.container-not-running',
        blame: 'downstream',
      });
    }
    throw error;
  }
}

async function runOnNode(
  context: CliContext,
  command: readonly string[],
  node: string,
  options: ExecCliOptions,
): Promise<number> {
  const statePaths = paths(context, options);
  if (command.length === 0) throw usageError('No command: write ambit exec --node NODE -- CMD...');
  const env = Object.fromEntries(
    Object.entries(context.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return run(await planEnterNode(statePaths, { node, command, env }));
}

/** Runs the plan with the caller's own standard streams; resolves to its exit code, 128 + N for signal N. */
async function run(plan: EnterPlan): Promise<number> {
  const [program = '', ...args] = plan.command;
  // nsenter must be found with the caller's PATH, the command with the container's.
  const child = spawn(program, args, { stdio: 'inherit', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...plan.env } });
  // nsenter forks into the pid namespace and waits: a signal for the command must pass it by. A terminal's own reach both.
  const forward = (): void => {
    for (const pid of child.pid === undefined ? [] : childrenOf(child.pid)) process.kill(pid, 'SIGTERM');
  };
  process.on('SIGTERM', forward);
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
  }).finally(() => process.off('SIGTERM', forward));
}
