/** Runs a command inside a running container: its namespaces, root, environment and working directory. */
import { spawn } from 'node:child_process';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { enterContainer, type ContainerTarget } from './confinement.ts';

export interface ContainerExecOptions {
  readonly target: ContainerTarget;
  readonly command: readonly string[];
  readonly timeoutMs: number;
}

/** Most bytes of output kept. */
const outputLimit = 10 * 1024;

/** Resolves to the exit code and the beginning of the output. Rejects when it takes longer than `timeoutMs`; then it is killed. */
export function execInContainer(options: ContainerExecOptions): Promise<{ exitCode: number; output: string }> {
  const { command, env } = enterContainer(options.target, options.command);
  const [program, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...env },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      if (output.length < outputLimit) output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const fail = (state: string): void => {
      clearTimeout(timer);
      const message = `Cannot run "${options.command.join(' ')}" in the container: ${state}`;
      reject(new AmbitError(message, { code: 'runtime.exec-failed', blame: 'downstream' }));
    };
    const timer = setTimeout(() => {
      fail(`it took longer than ${options.timeoutMs} ms`);
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Ended in this moment.
      }
    }, options.timeoutMs);
    child.on('error', (error) => fail(messageOf(error)));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ exitCode: code ?? 137, output });
    });
  });
}
