/** Runs a command in a container for a client: streams both ways, its end as a status, its processes gone with the client. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { constants } from 'node:os';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import { closeDescriptor, openPipe } from '../../../net/index.ts';
import { enterContainer, type ContainerTarget } from '../confinement.ts';
import { endOfInput } from './container-input.ts';
import { missingExecutable } from './executable.ts';
import { exitStatus, internalStatus } from './remote-status.ts';
import type { RemoteSession } from './remote-session.ts';
import { openTerminal } from './terminal.ts';

export interface ExecCommandOptions {
  readonly target: ContainerTarget;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly session: RemoteSession;
  readonly clock: Clock;
}

/** How long what a command left running may hold its output without saying anything. */
const drainMs = 1_000;
/** Between asking a command whose client is gone to end, and ending it. */
const killAfterMs = 2_000;

/** Runs the command and finishes the session. */
export function runExecCommand(options: ExecCommandOptions): void {
  const { target, command, session, tty } = options;
  const environment = tty ? { TERM: 'xterm', ...target.environment } : target.environment;
  const problem = missingExecutable(`/proc/${target.pid}/root`, command[0] ?? '', {
    path: environment['PATH'] ?? '',
    directory: target.workingDirectory,
  });
  if (problem !== undefined) return session.finish(internalStatus(execError(command, problem)));
  const entry = enterContainer({ ...target, environment }, command);
  try {
    if (tty) runOnTerminal(options, entry);
    else runOnPipes(options, entry);
  } catch (error) {
    session.finish(internalStatus(execError(command, messageOf(error))));
  }
}

type Entry = ReturnType<typeof enterContainer>;

function runOnTerminal(options: ExecCommandOptions, entry: Entry): void {
  const { session, target } = options;
  const terminal = openTerminal(target.pid);
  let child: ChildProcess;
  try {
    // A session of its own that has the terminal for its controlling one.
    const { commandFd: fd } = terminal;
    child = start({ ...entry, command: ['setsid', '--ctty', ...entry.command] }, [fd, fd, fd], false);
  } catch (error) {
    terminal.close();
    throw error;
  } finally {
    closeDescriptor(terminal.commandFd);
  }
  session.onResize((size) => terminal.resize(size));
  const { stdin } = session;
  stdin?.on('data', (chunk: Buffer) => {
    stdin.pause();
    void terminal.write(chunk).then(() => stdin.resume());
  });
  stdin?.on('end', () => void terminal.write(endOfInput));
  follow(options, child, [[terminal.output, session.stdout]], 'SIGHUP', () => terminal.close());
}

function runOnPipes(options: ExecCommandOptions, entry: Entry): void {
  const { session } = options;
  const input = session.stdin ? openPipe() : undefined;
  const stdout = openPipe();
  const stderr = openPipe();
  let child: ChildProcess;
  try {
    child = start(entry, [input?.readFd ?? 'ignore', stdout.writeFd, stderr.writeFd], true);
  } finally {
    for (const fd of [input?.readFd, stdout.writeFd, stderr.writeFd]) if (fd !== undefined) closeDescriptor(fd);
  }
  if (input && session.stdin) {
    const target = new Socket({ fd: input.writeFd, readable: false, writable: true });
    const source = session.stdin;
    // A command need not read what it is given.
    target.on('error', () => source.resume());
    target.on('close', () => source.resume());
    source.on('close', () => target.end());
    source.pipe(target);
  }
  const source = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
  const outputs: [Readable, Writable | undefined][] = [
    [source(stdout.readFd), session.stdout],
    [source(stderr.readFd), session.stderr],
  ];
  follow(options, child, outputs, 'SIGTERM', () => {});
}

/** Copies the outputs and finishes the session with the command's end. */
function follow(
  options: ExecCommandOptions,
  child: ChildProcess,
  outputs: readonly [Readable, Writable | undefined][],
  lastSignal: NodeJS.Signals,
  close: () => void,
): void {
  const { session, clock, command } = options;
  let isOver = false;
  const signal = (name: NodeJS.Signals): void => {
    try {
      // The group, which outlives its leader while anything of it runs.
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // Nothing of it is left.
    }
  };
  const onGone = (): void => {
    close();
    for (const [source] of outputs) source.destroy();
    signal(lastSignal);
    clock.after(killAfterMs, () => signal('SIGKILL'));
  };
  const finish = (end: () => void): void => {
    if (isOver) return;
    isOver = true;
    session.gone.removeEventListener('abort', onGone);
    close();
    end();
  };
  const drained = outputs.map(([source, target]) => copyOutput(source, target));
  if (session.gone.aborted) onGone();
  else session.gone.addEventListener('abort', onGone, { once: true });
  child.on('error', (error) => finish(() => session.finish(internalStatus(execError(command, messageOf(error))))));
  child.on('exit', (code, name) => {
    if (session.gone.aborted) return finish(() => {});
    const exitCode = code ?? 128 + (name === null ? 0 : constants.signals[name]);
    const idle = outputs.map(([source, target]) => destroyWhenIdle(source, target, clock));
    void Promise.all(drained).then(() => {
      for (const cancel of idle) cancel();
      finish(() => session.finish(exitStatus(exitCode)));
    });
  });
}

/** Resolves when the source is closed; `target` stays open. */
function copyOutput(source: Readable, target: Writable | undefined): Promise<void> {
  source.on('error', () => source.destroy());
  if (target) {
    source.pipe(target, { end: false });
    target.on('close', () => source.resume());
  } else source.resume();
  return new Promise((resolve) => void source.once('close', () => resolve()));
}

/** What is left in the background may keep the output open for ever: it is waited for while it speaks. */
function destroyWhenIdle(source: Readable, target: Writable | undefined, clock: Clock): () => void {
  let isIdle = true;
  source.on('data', () => (isIdle = false));
  let cancel = (): void => {};
  const look = (): void => {
    if (isIdle && !target?.writableNeedDrain) return void source.destroy();
    isIdle = true;
    cancel = clock.after(drainMs, look);
  };
  cancel = clock.after(drainMs, look);
  return () => cancel();
}

function start({ command, env }: Entry, stdio: StdioOptions, detached: boolean): ChildProcess {
  const [program, ...args] = command;
  return spawn(program, args, { cwd: '/', env, stdio, detached });
}

function execError(command: readonly string[], problem: string): string {
  return `error executing command in container: failed to exec in container: failed to start exec ${JSON.stringify(command[0] ?? '')}: ${problem}`;
}
