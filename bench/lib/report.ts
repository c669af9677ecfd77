/** Results: medians of interleaved runs, as a table for people and as JSON for machines. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join } from 'node:path';
import type { CalmWindows, LoadResult } from './load.ts';

export interface RowResult {
  readonly row: string;
  readonly unit: string;
  /** Ratio to the reference that design/performance.md asks for. */
  readonly target: number;
  readonly ours: Summary;
  readonly reference: Summary;
  /** What the target is about. */
  readonly measure: Measure;
  /** CPU per unit of both proxies together, or the p99 latency (of calm windows where they are known), ours to the reference's. */
  readonly ratio: number;
}

export type Measure = 'cpu' | 'p99';

export interface Summary {
  readonly name: string;
  readonly n: number;
  readonly outboundUs: number;
  readonly inboundUs: number;
  readonly unitsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly failures: number;
  readonly loadUs: number;
  /** CPU per unit of both proxies in every run. */
  readonly runsUs: readonly number[];
  readonly runsP99Us: readonly number[];
  /** Of an open loop: median p99 of the windows in which the machine did not stall, and their share of all. */
  readonly calm?: { readonly p99Us: number; readonly share: number; readonly runsP99Us: readonly number[] } | undefined;
}

/** With fewer calm windows a run says nothing of the calm. */
const enoughWindows = 10;

export function summarize(name: string, runs: readonly LoadResult[]): Summary {
  const of = (pick: (run: LoadResult) => number): number => median(runs.map(pick));
  return {
    name,
    n: runs.length,
    outboundUs: of((run) => run.cpuUs[0] ?? Number.NaN),
    inboundUs: of((run) => run.cpuUs[1] ?? Number.NaN),
    unitsPerSecond: of((run) => run.unitsPerSecond),
    p50Us: of((run) => run.p50Us),
    p99Us: of((run) => run.p99Us),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
    loadUs: of((run) => run.loadCpuUs),
    runsUs: runs.map((run) => Number(((run.cpuUs[0] ?? 0) + (run.cpuUs[1] ?? 0)).toFixed(2))),
    runsP99Us: runs.map((run) => run.p99Us),
    calm: summarizeCalm(runs.flatMap(({ calm }) => calm ?? [])),
  };
}

function summarizeCalm(runs: readonly CalmWindows[]): Summary['calm'] {
  const telling = runs.filter(({ calm }) => calm >= enoughWindows).map(({ p99Us }) => p99Us);
  if (telling.length === 0) return undefined;
  const sum = (pick: (run: CalmWindows) => number): number => runs.reduce((total, run) => total + pick(run), 0);
  const share = sum(({ calm }) => calm) / sum(({ windows }) => windows);
  return { p99Us: median(telling), share: Number(share.toFixed(2)), runsP99Us: telling };
}

export function compare(
  about: Pick<RowResult, 'row' | 'unit' | 'target' | 'measure'>,
  ours: Summary,
  reference: Summary,
): RowResult {
  const ratio =
    about.measure === 'p99'
      ? ours.calm && reference.calm
        ? ours.calm.p99Us / reference.calm.p99Us
        : ours.p99Us / reference.p99Us
      : (ours.outboundUs + ours.inboundUs) / (reference.outboundUs + reference.inboundUs);
  return { ...about, ours, reference, ratio: Number(ratio.toFixed(3)) };
}

export function formatRow(result: RowResult): string {
  const { row, unit, ours, reference, ratio, target, measure } = result;
  const line = (s: Summary): string =>
    `  ${s.name.padEnd(8)} outbound ${us(s.outboundUs)}  inbound ${us(s.inboundUs)}  load ${us(s.loadUs)}` +
    `   ${Math.round(s.unitsPerSecond).toLocaleString('en').padStart(8)}/s  p50 ${s.p50Us} us  p99 ${s.p99Us} us` +
    (s.calm ? ` (${s.calm.p99Us} us in the ${Math.round(s.calm.share * 100)} % without a stall of the machine)` : '') +
    `  failures ${s.failures}  n=${s.n}`;
  const verdict = ratio <= target ? 'met' : 'MISSED';
  return [
    `${row}: CPU us per ${unit}, per proxy`,
    line(ours),
    line(reference),
    `  ratio    ${measure === 'p99' ? 'of p99 ' : ''}${ratio.toFixed(2)} (target <= ${target}: ${verdict})`,
  ].join('\n');
}

/** Writes one run's results, by kind of measurement. Returns the path. */
export function writeResults(dir: string, results: Readonly<Record<string, readonly unknown[]>>): string {
  mkdirSync(dir, { recursive: true });
  const now = new Date().toISOString();
  const path = join(dir, `${now.replaceAll(/[:.]/g, '-')}.json`);
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
  };
  writeFileSync(path, `${JSON.stringify({ time: now, machine, ...results }, null, 2)}\n`);
  return path;
}

function us(value: number): string {
  return value.toFixed(1).padStart(7);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
