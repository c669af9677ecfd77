/** Earlier results: which there are, and what moved since one of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowResult } from './report.ts';

interface Results {
  readonly time: string;
  readonly rows?: readonly RowResult[];
  readonly memory?: readonly {
    readonly row: string;
    readonly value: number;
    readonly unit: string;
    readonly target: number;
  }[];
}

/** The newest results under `dir`, but for `except`; undefined when there are none. */
export function newestResults(dir: string, except: string): string | undefined {
  const names = readdirSync(dir).filter((name) => name.endsWith('.json') && join(dir, name) !== except);
  const newest = names.toSorted().at(-1);
  return newest === undefined ? undefined : join(dir, newest);
}

/** A table: row, before, after, change, runs. Ratios to the reference are compared, as CPU and clocks of two days are not the same. */
export function formatComparison(beforePath: string, afterPath: string): string {
  const [before, after] = [beforePath, afterPath].map((path) => JSON.parse(readFileSync(path, 'utf8')) as Results);
  const lines = [['row', 'before', 'after', 'change', 'n']];
  for (const row of after?.rows ?? []) {
    const earlier = before?.rows?.find((candidate) => candidate.row === row.row);
    const runs = `${earlier?.ours.n ?? 0}, ${row.ours.n}`;
    lines.push([row.row, ...change(earlier?.ratio, row.ratio, (value) => value.toFixed(2)), runs]);
  }
  for (const { row, value, unit } of after?.memory ?? []) {
    const earlier = before?.memory?.find((candidate) => candidate.row === row);
    lines.push([row, ...change(earlier?.value, value, (number) => `${number.toFixed(1)} ${unit}`), '1, 1']);
  }
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const text = lines.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [`Compared with ${before?.time}:`, ...text].join('\n');
}

function change(before: number | undefined, after: number, show: (value: number) => string): string[] {
  if (before === undefined) return ['-', show(after), 'new'];
  const percent = ((after - before) / before) * 100;
  return [show(before), show(after), `${percent >= 0 ? '+' : ''}${percent.toFixed(0)} %`];
}
