/** Starts a container's process tree and follows it to its end. When the runtime dies, however, the kernel kills the tree. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { closeDescriptor, openPipe } from '../../net/index.ts';
import { toolEnvironment } from '../network/tool.ts';
import { killMembers, userNamespaceOf } from './container-members.ts';
import { assignments, enterConfinement, splitEnvironment, type Confinement } from './confinement.ts';
import { confinedScript, containerScript } from './container-script.ts';
import type { PodNamespaces } from './pod-namespaces.ts';
import { mountsFolder, type RootPlan } from './root-plan.ts';
import { ContainerInput } from './streaming/container-input.ts';
import { openTerminal, type Terminal } from './streaming/terminal.ts';

export interface ContainerProcessOptions {
  /** The container's own folder; made anew. */
  readonly folder: string;
  readonly root: RootPlan;
  /** Path of the pod's network namespace; absent: the runtime's own. */
  readonly netnsPath?: string;
  readonly namespaces: Pick<PodNamespaces, 'uts' | 'ipc' | 'pid'>;
  readonly hostPid: boolean;
  readonly input: 'none' | 'pipe' | 'terminal';
  /** The first who gives input and ends ends it. */
  readonly isInputOnce: boolean;
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
  /** Process 1 of the container, or its command where the pod has one process 1, as the runtime sees pids: what `nsenter -t` wants. */
  readonly pid: number;
  /** Closed by itself. */
  readonly input?: ContainerInput;
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
  const input = options.input === 'pipe' ? openPipe() : undefined;
  const child = spawnContainer(options, [input?.readFd ?? 'ignore', stdout.writeFd, stderr.writeFd]);
  for (const fd of [input?.readFd, stdout.writeFd, stderr.writeFd]) if (fd !== undefined) closeDescriptor(fd);
  const outputs: (Socket | Readable)[] = [stdout.source, stderr.source];
  const followed = followExit(child, outputs);
  let members: string | undefined;
  // The others of the pod's pid namespace live on: what this container left ends with it.
  const exited = followed.process
    .then(async () => (members === undefined ? undefined : killMembers(members)))
    .then(() => followed.exited);
  let given = input && new ContainerInput({ kind: 'pipe', writeFd: input.writeFd }, options.isInputOnce);
  void exited.then(() => given?.close());
  let terminal: Terminal | undefined;
  let complaint = '';
  const listen = (chunk: Buffer): void => {
    if (complaint.length < complaintLimit) complaint += chunk.toString();
  };
  // Until `ready`, what is said on standard error is the set-up's; the command's first words may be among it.
  stderr.source.on('data', listen);
  options.onOutput('stdout', stdout.source);
  options.onOutput('stderr', stderr.source);

  const progress = await readProgress(child, exited, {
    terminal(pid) {
      terminal = openTerminal(pid);
      given = new ContainerInput({ kind: 'terminal', terminal }, options.isInputOnce);
      outputs.push(terminal.output);
      options.onOutput('stdout', terminal.output);
      return String(terminal.number);
    },
    confined(pid) {
      members = userNamespaceOf(pid);
      return '';
    },
  });
  stderr.source.off('data', listen);
  // The command has it open by now; while we had it too, nobody would hear of its end.
  if (terminal) closeDescriptor(terminal.commandFd);
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
  const isCommand = options.hostPid || options.namespaces.pid !== undefined;
  return {
    pid,
    exited,
    ...(given ? { input: given } : {}),
    commandPid: () => (isCommand ? pid : (firstChild(pid) ?? pid)),
    signal: (name) => send(pid, name),
    kill() {
      send(pid, 'SIGKILL');
      // Without a pid namespace of its own, the group is what belongs to the container.
      if (options.hostPid && child.pid !== undefined) send(-child.pid, 'SIGKILL');
    },
  };
}

function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', () => resolve());
  });
}

/** A pipe whose read end is a stream. */
function openOutput(): { source: Socket; writeFd: number } {
  const { readFd, writeFd } = openPipe();
  return { source: new Socket({ fd: readFd, readable: true, writable: false }), writeFd };
}

/** The end of the process and, so that its last lines are in the log, of its outputs; more of these may be added meanwhile. */
function followExit(
  child: ChildProcess,
  outputs: readonly Readable[],
): { readonly process: Promise<ContainerExit>; readonly exited: Promise<ContainerExit> } {
  const ended = new Promise<ContainerExit>((resolve) => {
    child.once('error', () => resolve({ exitCode: 128 }));
    child.once('exit', (code, signal) => resolve(exitOf(code, signal)));
  });
  const drain = async (): Promise<void> => {
    // Only with a shared pid namespace may something that left the group hold an output open.
    const timer = setTimeout(() => outputs.forEach((output) => output.destroy()), drainMs);
    await Promise.all(outputs.map(closed));
    clearTimeout(timer);
  };
  return {
    process: ended,
    exited: ended.then(async (exit) => {
      await drain();
      return exit;
    }),
  };
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

function spawnContainer(
  options: ContainerProcessOptions,
  streams: readonly [number | 'ignore', number, number],
): ChildProcess {
  // `exec` after `exec`: one process becomes each of these in turn, until `unshare` forks process 1.
  const chain = ['setpriv', '--pdeathsig', 'KILL', '--'];
  const { namespaces } = options;
  chain.push('nsenter', `--uts=${namespaces.uts}`);
  if (namespaces.ipc !== undefined) chain.push(`--ipc=${namespaces.ipc}`);
  if (options.netnsPath !== undefined) chain.push(`--net=${options.netnsPath}`);
  // The child that `unshare` makes is the one that is in it.
  if (namespaces.pid !== undefined) chain.push(`--pid=${namespaces.pid}`, '--no-fork');
  chain.push('--');
  // "slave": mounts of the container stay in it, those of the host still come in where a volume asks for them.
  chain.push('unshare', '--mount', '--propagation', 'slave', '--fork', '--kill-child');
  if (!options.hostPid && namespaces.pid === undefined) chain.push('--pid');
  const { confinement, workingDirectory } = options;
  const input = options.input === 'terminal' ? 'tty' : '';
  const mode = options.hostPid || namespaces.pid !== undefined ? 'exec' : 'init';
  chain.push('--', 'sh', `${options.folder}/init.sh`, options.folder, input, workingDirectory);
  if (confinement.kind === 'confined') {
    chain.push('confined', ...enterConfinement(confinement), 'sh', confinedScriptPath, mode, workingDirectory);
  } else {
    chain.push(mode, ...confinement.limit);
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
    stdio: [...streams, 'pipe'],
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

/** `answers`: what the script is told where it asks; a throw ends the set-up. */
function readProgress(
  child: ChildProcess,
  exited: Promise<ContainerExit>,
  answers: { readonly terminal: (pid: number) => string; readonly confined: (pid: number) => string },
): Promise<Progress> {
  return new Promise((resolve) => {
    let said = '';
    let pid = 0;
    const channel = child.stdio[3] as Socket;
    const hear = (line: string): void => {
      if (line.startsWith('pid ')) pid = Number(line.slice(4));
      else if (line === 'ready') resolve({ kind: 'ready', pid });
      else if (line === 'terminal' || line === 'confined') channel.write(`${answers[line](pid)}\n`);
    };
    channel.on('data', (chunk: Buffer) => {
      const lines = (said + chunk.toString()).split('\n');
      said = lines.pop() ?? '';
      try {
        lines.forEach(hear);
      } catch (error) {
        resolve({ kind: 'failed', reason: messageOf(error) });
      }
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
