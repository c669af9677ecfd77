/** Runs a program and collects what it says. */
import { spawn, type ChildProcess } from 'node:child_process';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** Resolves when the program ended; never rejects for its exit code (killed by a signal: 128). */
export function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = start(command, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 180_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128, stdout, stderr });
    });
  });
}

export function start(command: readonly string[], options: RunOptions = {}): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, { env: { ...process.env, ...options.env }, stdio: 'pipe', cwd: options.cwd });
}

/**
 * Asks again until `probe` gives something that is neither undefined nor false. Fails with what `describe` says after
 * `withinMs`, which is long, as a machine may be slow: only a failure takes it.
 */
export async function eventually<T>(
  probe: () => Promise<T | false | undefined>,
  describe: string,
  withinMs = 60_000,
): Promise<T> {
  const deadlineMs = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadlineMs) throw new Error(`Not within ${withinMs} ms: ${describe}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
