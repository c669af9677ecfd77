/** Child processes of a benchmark: started, waited for until they say that they are ready, and ended with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { availableParallelism } from 'node:os';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Core to run on; ignored on a machine with one. */
  readonly core?: number;
  /** Standard output goes to this file; otherwise it is read line by line. */
  readonly outputFile?: string;
  /** Besides what we have. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly pid: number;
  /** Calls `onLine` for every line of standard output (or of standard error, with `outputFile`). */
  readonly ended: Promise<number | null>;
  waitFor(line: string): Promise<void>;
  onLine: ((line: string) => void) | undefined;
  stop(): Promise<void>;
}

export function startChild(options: ChildOptions): Child {
  const pinned = options.core !== undefined && availableParallelism() > 1;
  const [command, ...args] = pinned
    ? ['taskset', '-c', String(options.core), options.command, ...options.args]
    : [options.command, ...options.args];
  const output = options.outputFile === undefined ? undefined : openSync(options.outputFile, 'a');
  const env = { ...globalThis.process.env, ...options.env };
  const process = spawn(command as string, args, { stdio: ['ignore', output ?? 'pipe', 'pipe'], env });
  if (output !== undefined) closeSync(output);
  running.add(process);
  const seen: string[] = [];
  const errors: string[] = [];
  const waiters = new Map<string, () => void>();
  const ended = new Promise<number | null>((resolve) => {
    process.once('close', (code) => {
      running.delete(process);
      resolve(code);
    });
    process.once('error', () => resolve(null));
  });
  const child: Child = {
    pid: process.pid ?? 0,
    ended,
    onLine: undefined,
    waitFor(line) {
      if (seen.includes(line)) return Promise.resolve();
      const found = new Promise<void>((resolve) => waiters.set(line, resolve));
      const failed = ended.then(() => {
        throw new Error(`Cannot start ${options.command}: ${errors.join('\n') || 'it ended'}`);
      });
      return Promise.race([found, failed]);
    },
    async stop() {
      process.kill('SIGKILL');
      await ended;
    },
  };
  const onLine = (line: string): void => {
    seen.push(line);
    if (seen.length > 100) seen.shift();
    waiters.get(line)?.();
    child.onLine?.(line);
  };
  if (process.stdout) createInterface(process.stdout).on('line', onLine);
  if (process.stderr) {
    createInterface(process.stderr).on('line', (line) => {
      errors.push(line);
      if (errors.length > 20) errors.shift();
      if (output !== undefined) onLine(line);
    });
  }
  return child;
}
