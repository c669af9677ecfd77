/** The load generator: compiled once from C, because the load must cost less than the proxies. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuTimeNs } from './cpu.ts';
import { startChild, type Child } from './child.ts';

const source = join(import.meta.dirname, '../load/load.c');
const cacheDir = join(import.meta.dirname, '../../.cache/bench');

/** Path of the binary. Throws with what to install when there is no C compiler. */
export function compileLoad(): string {
  const version = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  const binary = join(cacheDir, `load-${version}`);
  if (existsSync(binary)) return binary;
  mkdirSync(cacheDir, { recursive: true });
  try {
    execFileSync('cc', ['-O2', '-pthread', '-o', binary, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Error(
      missing ? 'Cannot compile the load generator: no C compiler. Run: apt-get install gcc libc6-dev' : String(error),
      {
        cause: error,
      },
    );
  }
  return binary;
}

export async function startEcho(binary: string, port: number, core: number): Promise<Child> {
  const child = startChild({ command: binary, args: ['echo', String(port)], core });
  await child.waitFor('listening');
  return child;
}

export interface LoadOptions {
  readonly binary: string;
  /**
   * `ping`: round trips on busy connections. `open`: connect, one round trip, close. `bulk`: downloads, by the megabyte.
   * `rate`: so many round trips a second, whatever the proxies do; latency counts from when each was due.
   */
  readonly mode: 'ping' | 'open' | 'bulk' | 'rate';
  /** Of `rate`, a second. */
  readonly rate?: number;
  readonly port: number;
  readonly connections: number;
  readonly bytes: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly core: number;
  /** Processes whose CPU time is taken over the measured part. */
  readonly measured: readonly number[];
}

export interface CalmWindows {
  readonly p99Us: number;
  readonly calm: number;
  readonly windows: number;
}

export interface LoadResult {
  readonly units: number;
  readonly failures: number;
  readonly unitsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU microseconds per unit, one for each measured process. */
  readonly cpuUs: readonly number[];
  /**
   * Of `rate`: the p99 of those windows of 50 ms in which the machine itself did not stall, how many they were, and of how many.
   * Absent where its witnesses could not run.
   */
  readonly calm?: CalmWindows | undefined;
  /** The load generator's own. */
  readonly loadCpuUs: number;
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { binary, mode, port, connections, bytes, warmupSeconds, seconds, core } = options;
  const args = [
    mode,
    '127.0.0.1',
    String(port),
    String(connections),
    String(bytes),
    String(warmupSeconds),
    String(seconds),
    ...(options.rate === undefined ? [] : [String(options.rate)]),
  ];
  const child = startChild({ command: binary, args, core });
  const pids = [...options.measured, child.pid];
  let before: number[] | undefined;
  let result: LoadResult | undefined;
  let calm: CalmWindows | undefined;
  child.onLine = (line) => {
    if (line === 'start') before = pids.map(cpuTimeNs);
    calm ??= readCalm(line);
    const numbers = /^end (\d+) (\d+) (\d+) (\d+)$/.exec(line)?.slice(1).map(Number);
    if (!numbers || !before) return;
    const [units = 0, failures = 0, p50Us = 0, p99Us = 0] = numbers;
    const perUnit = pids.map((pid, i) => {
      try {
        return (cpuTimeNs(pid) - (before?.[i] ?? 0)) / 1000 / Math.max(units, 1);
      } catch {
        return Number.NaN;
      }
    });
    const loadCpuUs = perUnit.pop() ?? Number.NaN;
    result = { units, failures, unitsPerSecond: units / seconds, p50Us, p99Us, cpuUs: perUnit, loadCpuUs, calm };
  };
  await child.ended;
  if (!result) throw new Error(`Load generator failed against port ${port}`);
  return result;
}

function readCalm(line: string): CalmWindows | undefined {
  const numbers = /^calm (\d+) (\d+) (\d+)$/.exec(line)?.slice(1).map(Number);
  if (!numbers) return undefined;
  const [p99Us = 0, calm = 0, windows = 0] = numbers;
  return { p99Us, calm, windows };
}
