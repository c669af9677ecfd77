/** Runs the project's tools one after another, says how long each took, and stops at the first failure. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

export const root: string = dirname(import.meta.dirname);

export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Ended, and failed, after this many seconds. */
  readonly timeoutSeconds: number;
  /** Show the output as it comes, not only on failure. */
  readonly live?: boolean;
}

/** Resolves to whether every step passed. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) {
    const startedMs = Date.now();
    const { code, output } = await run(step);
    const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
    if (code === 0) {
      console.log(`ok    ${step.name} (${seconds} s)`);
      continue;
    }
    process.stdout.write(output);
    console.error(`FAIL  ${step.name} (${seconds} s): ${step.command.join(' ')} ended with ${code}`);
    return false;
  }
  return true;
}

/** Lanes run side by side, the steps of each one after another. Resolves to whether all passed. */
export async function runLanes(lanes: readonly (readonly Step[])[]): Promise<boolean> {
  const passed = await Promise.all(lanes.map((steps) => runSteps(steps)));
  return passed.every(Boolean);
}

/** A test that takes longer failed; what follows it (meshes taken down) still runs. */
const longestTestMs = 180_000;

/**
 * Test files at the same time. Each brings up what it needs in namespaces of its own, and mostly waits; more than two
 * starve each other of processors, and of memory on small machines.
 */
const filesAtOnce = availableParallelism() >= 2 ? 2 : 1;

/** `node --test` over files, with a limit so that a leaked handle is a failure and not a hang. */
export function testCommand(patterns: readonly string[], isolation: 'none' | 'process', shard?: string): string[] {
  const command = ['node', '--test', `--test-isolation=${isolation}`, '--test-reporter=spec'];
  if (isolation === 'process') command.push(`--test-concurrency=${filesAtOnce}`, `--test-timeout=${longestTestMs}`);
  if (shard !== undefined) command.push(`--test-shard=${shard}`);
  return [...command, ...patterns];
}

async function run(step: Step): Promise<{ code: number | string; output: string }> {
  const [program = '', ...args] = step.command;
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', step.live ? 'inherit' : 'pipe', step.live ? 'inherit' : 'pipe'],
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}:/usr/sbin:/sbin` },
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), step.timeoutSeconds * 1000);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: error.message, output }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? `${signal} after at most ${step.timeoutSeconds} s`, output });
    });
  });
}
