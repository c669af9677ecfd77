/** Requests at a proxy: wrk for HTTP/1.1, h2load for HTTP/2; and what they cost the proxy. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { LoadResult } from '../lib/load.ts';
import { cpuTimeNs } from '../lib/cpu.ts';

const run = promisify(execFile);

export interface HttpLoadOptions {
  readonly protocol: 'http1' | 'http2';
  readonly port: number;
  readonly seconds: number;
  readonly core: number;
  /** The proxy. */
  readonly pid: number;
}

/** Eight request headers with those that the tools add, as a browser's API call has about. */
const headers = [
  'accept: application/json',
  'accept-language: en',
  'user-agent: bench',
  'x-api-key: 0123456789abcdef',
  'x-client: web',
  'cache-control: no-cache',
];

export async function httpLoad(options: HttpLoadOptions): Promise<LoadResult> {
  const before = cpuTimeNs(options.pid);
  const { units, failures, p50Us, p99Us } = options.protocol === 'http1' ? await wrk(options) : await h2load(options);
  const cpuUs = (cpuTimeNs(options.pid) - before) / 1000 / Math.max(units, 1);
  return { units, failures, unitsPerSecond: units / options.seconds, p50Us, p99Us, cpuUs: [cpuUs, 0], loadCpuUs: 0 };
}

type Counts = Pick<LoadResult, 'units' | 'failures' | 'p50Us' | 'p99Us'>;

async function wrk({ port, seconds, core }: HttpLoadOptions): Promise<Counts> {
  const { stdout } = await run('taskset', [
    '-c',
    String(core),
    'wrk',
    '-t1',
    '-c64',
    `-d${seconds}s`,
    '--latency',
    ...headers.flatMap((header) => ['-H', header]),
    `http://127.0.0.1:${port}/api/items?page=1`,
  ]);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
  const failures =
    number(/Non-2xx or 3xx responses: (\d+)/) +
    number(/read (\d+)/) +
    number(/connect (\d+)/) +
    number(/timeout (\d+)/);
  return {
    units: number(/(\d+) requests in/),
    failures,
    p50Us: microseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    p99Us: microseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
  };
}

async function h2load({ port, seconds, core }: HttpLoadOptions): Promise<Counts> {
  const { stdout } = await run('taskset', [
    '-c',
    String(core),
    'h2load',
    '-t1',
    '-c4',
    '-m32',
    `-D${seconds}`,
    ...headers.flatMap((header) => ['-H', header]),
    `http://127.0.0.1:${port}/api/items?page=1`,
  ]);
  const found = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded/.exec(stdout);
  const done = Number(found?.[1] ?? 0);
  const succeeded = Number(found?.[2] ?? 0);
  const mean = /time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/.exec(stdout);
  return { units: succeeded, failures: done - succeeded, p50Us: microseconds(mean), p99Us: 0 };
}

function microseconds(found: RegExpExecArray | null): number {
  const factor = { us: 1, ms: 1000, s: 1_000_000 }[found?.[2] ?? 'us'] ?? 1;
  return Math.round(Number(found?.[1] ?? 0) * factor);
}
