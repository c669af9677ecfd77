/** Lists as tables, JSON or YAML. */
import { stripVTControlCharacters } from 'node:util';
import { dump } from 'js-yaml';
import type { CliContext, OutputFormat } from './context.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
}

/** Prints `rows`; in JSON and YAML as an array of `rows` as they are. */
export function printList<Row>(
  context: CliContext,
  rows: readonly Row[],
  options: { format: OutputFormat; columns: readonly Column<Row>[] },
): void {
  switch (options.format) {
    case 'json':
      context.out.write(`${JSON.stringify(rows, null, 2)}\n`);
      return;
    case 'yaml':
      context.out.write(dump(rows));
      return;
    case 'table':
      context.out.write(formatTable(rows, options.columns));
  }
}

/** Columns separated by at least two spaces, as kubectl prints them. No rows: the header alone. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.value(row) || '-')),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => shownWidth(line[index] ?? ''))));
  return cells
    .map(
      (line) =>
        `${line
          .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - shownWidth(cell)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Colours take no room on the screen. */
function shownWidth(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

/** How long ago, as kubectl abbreviates it: 42s, 5m, 3h, 2d. */
export function formatAge(since: string, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(since)) / 1000));
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
