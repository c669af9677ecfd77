/** Starts a container's process tree and follows it to its end. When the runtime dies, however, the kernel kills the tree. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { closeDescriptor, openPipe } from '../../net/index.ts';
import { toolEnvironment } from '../network/tool.ts';
import { assignments, enterConfinement, splitEnvironment, type Confinement } from './confinement.ts';
import { confinedScript, containerScript } from './container-script.ts';
import { mountsFolder, type RootPlan } from './root-plan.ts';

export interface ContainerProcessOptions {
  /** The container's own folder; made anew. */
  readonly folder: string;
  readonly root: RootPlan;
  /** Path of the pod's network namespace; absent: the runtime's own. */
  readonly netnsPath?: string;
  /** Absent: the node's. */
  readonly hostName?: string;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  readonly command: readonly string[];
  readonly confinement: Confinement;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly onOutput: (stream: 'stdout' | 'stderr', source: Readable) => void;
}

export interface ContainerExit {
  readonly exitCode: number;
  readonly signal?: number;
}

export interface ContainerProcess {
  /** Process 1 of the container, as the runtime sees pids: what `nsenter -t` wants. */
  readonly pid: number;
  /** The command itself; process 1 while it is not known. */
  commandPid(): number;
  /** Resolves when every process of the container is gone. */
  readonly exited: Promise<ContainerExit>;
  /** To the command; process 1 passes it on. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL to all of it. */
  kill(): void;
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/** Most bytes kept of what a failed set-up says. */
const complaintLimit = 4096;
const drainMs = 1_000;
const confinedScriptPath = `${mountsFolder}/start.sh`;

/**
 * Resolves once the command was started (it may have ended since). Throws `runtime.start-failed`, with what the set-up
 * said, when any step before it fails; then nothing runs.
 */
export async function startContainerProcess(options: ContainerProcessOptions): Promise<ContainerProcess> {
  writeRoot(options);
  const stdout = openOutput();
  const stderr = openOutput();
  const child = spawnContainer(options, [stdout.writeFd, stderr.writeFd]);
  closeDescriptor(stdout.writeFd);
  closeDescriptor(stderr.writeFd);
  const exited = followExit(child, [stdout.source, stderr.source]);
  let complaint = '';
  const listen = (chunk: Buffer): void => {
    if (complaint.length < complaintLimit) complaint += chunk.toString();
  };
  // Until `ready`, what is said on standard error is the set-up's; the command's first words may be among it.
  stderr.source.on('data', listen);
  options.onOutput('stdout', stdout.source);
  options.onOutput('stderr', stderr.source);

  const progress = await readProgress(child, exited);
  stderr.source.off('data', listen);
  if (progress.kind === 'failed') {
    child.kill('SIGKILL');
    await exited;
    throw new AmbitError(`Cannot set up the container: ${messageOf(complaint.trim() || progress.reason)}`, {
      code: 'runtime.start-failed',
      blame: 'internal',
    });
  }
  const { pid } = progress;
  let isRunning = true;
  void exited.then(() => (isRunning = false));
  const send = (target: number, name: NodeJS.Signals): void => {
    if (!isRunning) return;
    try {
      process.kill(target, name);
    } catch {
      // Gone in between.
    }
  };
  return {
    pid,
    exited,
    commandPid: () => (options.hostPid ? pid : (firstChild(pid) ?? pid)),
    signal: (name) => send(pid, name),
    kill() {
      send(pid, 'SIGKILL');
      // Without a pid namespace of its own, the group is what belongs to the container.
      if (options.hostPid && child.pid !== undefined) send(-child.pid, 'SIGKILL');
    },
  };
}

/** A pipe whose read end is a stream. */
function openOutput(): { source: Socket; writeFd: number } {
  const { readFd, writeFd } = openPipe();
  return { source: new Socket({ fd: readFd, readable: true, writable: false }), writeFd };
}

/** The end of the process and, so that its last lines are in the log, of its output. */
function followExit(child: ChildProcess, outputs: readonly Socket[]): Promise<ContainerExit> {
  const drained = Promise.all(outputs.map((output) => new Promise((resolve) => output.once('close', resolve))));
  return new Promise((resolve) => {
    const finish = (exit: ContainerExit): void => {
      // Only with init's pid namespace may something that left the group hold an output open.
      const timer = setTimeout(() => outputs.forEach((output) => output.destroy()), drainMs);
      void drained.then(() => {
        clearTimeout(timer);
        resolve(exit);
      });
    };
    child.once('error', () => finish({ exitCode: 128 }));
    child.once('exit', (code, signal) => finish(exitOf(code, signal)));
  });
}

/** Some forty small calls on tmpfs: a millisecond in all, less than handing them to other threads would take. */
function writeRoot(options: ContainerProcessOptions): void {
  const { folder, root } = options;
  for (const { path, mode } of root.folders) mkdirSync(path, { recursive: true, mode });
  for (const { path, target } of root.links) symlinkSync(target, path);
  for (const { path, content } of root.files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o644 });
  }
  writeFileSync(`${folder}/init.sh`, containerScript);
  writeFileSync(`${folder}/before.fstab`, root.before);
  writeFileSync(`${folder}/identities`, root.identities);
  writeFileSync(`${folder}/root${confinedScriptPath}`, confinedScript);
}

function spawnContainer(options: ContainerProcessOptions, outputs: readonly [number, number]): ChildProcess {
  // `exec` after `exec`: one process becomes each of these in turn, until `unshare` forks process 1.
  const chain = ['setpriv', '--pdeathsig', 'KILL', '--'];
  if (options.netnsPath !== undefined) chain.push('nsenter', `--net=${options.netnsPath}`, '--');
  // "slave": mounts of the container stay in it, those of the host still come in where a volume asks for them.
  chain.push('unshare', '--mount', '--propagation', 'slave', '--uts', '--fork', '--kill-child');
  if (!options.hostPid) chain.push('--pid');
  if (!options.hostIpc) chain.push('--ipc');
  const { confinement, workingDirectory } = options;
  chain.push('--', 'sh', `${options.folder}/init.sh`, options.folder, options.hostName ?? '', workingDirectory);
  if (confinement.kind === 'confined') {
    chain.push('confined', ...enterConfinement(confinement), 'sh', confinedScriptPath, workingDirectory);
  } else {
    chain.push(options.hostPid ? 'exec' : 'init', ...confinement.limit);
  }
  const { inherited, late } = splitEnvironment(options.environment);
  const [env = 'env', ...variables] = assignments(late);
  // A shell starts background commands with SIGINT and SIGQUIT ignored.
  chain.push(env, '--default-signal=INT,QUIT', ...variables, ...options.command);
  const [program = '', ...args] = chain;
  return spawn(program, args, {
    cwd: '/',
    env: { ...inherited, ...toolEnvironment },
    detached: true,
    stdio: ['ignore', ...outputs, 'pipe'],
  });
}

/** The first child that is still there: process 1 starts the command before it adopts anything. */
function firstChild(pid: number): number | undefined {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return child ? Number(child) : undefined;
  } catch {
    return undefined;
  }
}

type Progress = { readonly kind: 'ready'; readonly pid: number } | { readonly kind: 'failed'; readonly reason: string };

function readProgress(child: ChildProcess, exited: Promise<ContainerExit>): Promise<Progress> {
  return new Promise((resolve) => {
    let said = '';
    const channel = child.stdio[3] as Readable;
    channel.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /^pid (\d+)\n(?:.*\n)*?ready\n/.exec(said);
      if (found) resolve({ kind: 'ready', pid: Number(found[1]) });
    });
    channel.on('error', () => {});
    child.once('error', (error) => resolve({ kind: 'failed', reason: messageOf(error) }));
    // A short command may end before its `ready` was read: the stream is read to its end first.
    channel.once('close', () => resolve({ kind: 'failed', reason: 'it ended before the command was started' }));
    void exited.then(() => resolve({ kind: 'failed', reason: 'it ended before the command was started' }));
  });
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): ContainerExit {
  if (code !== null) return code > 128 && code < 160 ? { exitCode: code, signal: code - 128 } : { exitCode: code };
  const number = signalNumbers[signal ?? ''] ?? 0;
  return { exitCode: 128 + number, signal: number };
}
