/**
 * Metrics of a hot path whose series choose their own labels: several counters and histograms in one array of numbers a series.
 *
 * Who counts keeps the series and writes `series.cells[at]`: no look-up, no call, no allocation. It holds no reference; instead it sets
 * `lastUsedMs`, and asks for the series again when `isExpired` says so.
 */
import { valueCount, valuesPerSeries, type GroupSnapshot, type MetricInfo } from './snapshot.ts';
import type { SharedSeries } from './metrics.ts';

export interface CellSeries {
  /** The cells of each metric in turn (`CellGroup.offsets`): one of a counter; of a histogram its buckets, the one above them, the sum. */
  readonly cells: Float64Array;
  /** Set by whoever counts, in ms since the epoch. */
  lastUsedMs: number;
  /** It counts for nobody any more. */
  readonly isExpired: boolean;
}

export interface CellGroupInfo {
  /** In the order of the output. A series has a line in a metric once it counted something there. */
  readonly metrics: readonly MetricInfo[];
  /** Label names of the series that counts for all that are too many. */
  readonly overflowLabelNames: readonly string[];
}

/** `{a="b",...}` */
export function labelText(names: readonly string[], values: readonly (string | undefined)[]): string {
  const pairs: string[] = [];
  for (const [i, name] of names.entries()) pairs.push(`${name}="${escapeLabel(values[i] ?? '')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

export class CellGroup {
  /** Of each metric, where its cells begin. */
  readonly offsets: readonly number[];
  readonly #info: CellGroupInfo;
  readonly #width: number;
  readonly #shared: SharedSeries;
  readonly #series = new Map<string, StoredCells>();
  #overflow: StoredCells | undefined;

  constructor(info: CellGroupInfo, shared: SharedSeries) {
    this.#info = info;
    this.#shared = shared;
    this.#width = valuesPerSeries(info.metrics);
    let at = 0;
    this.offsets = info.metrics.map((metric) => {
      const offset = at;
      at += valueCount(metric);
      return offset;
    });
  }

  /** The series with these labels, as `labelText` writes them. */
  series(labels: string): CellSeries {
    const found = this.#series.get(labels);
    if (found) return found;
    if (!this.#shared.reserve()) return this.#overflowSeries();
    const made = this.#create(labels);
    this.#series.set(labels, made);
    return made;
  }

  snapshot(): GroupSnapshot {
    const all = this.#overflow ? [...this.#series.values(), this.#overflow] : [...this.#series.values()];
    const values = new Float64Array(all.length * this.#width);
    for (const [i, { cells }] of all.entries()) values.set(cells, i * this.#width);
    return {
      metrics: this.#info.metrics,
      ids: Float64Array.from(all, ({ id }) => id),
      labels: all.map(({ labels }) => labels),
      values,
    };
  }

  expire(): void {
    const before = this.#shared.clock.nowMs() - this.#shared.expireAfterMs;
    let gone = 0;
    for (const [labels, series] of this.#series) {
      if (series.lastUsedMs > before) continue;
      series.isExpired = true;
      this.#series.delete(labels);
      gone++;
    }
    if (gone === 0) return;
    this.#shared.free(gone);
    // There is room again: who counts in the overflow series asks once more.
    if (!this.#overflow) return;
    this.#overflow.isExpired = true;
    this.#overflow = new StoredCells(this.#overflow);
  }

  #create(labels: string): StoredCells {
    return new StoredCells({
      id: this.#shared.nextId(),
      labels,
      cells: new Float64Array(this.#width),
      lastUsedMs: this.#shared.clock.nowMs(),
    });
  }

  #overflowSeries(): StoredCells {
    if (!this.#overflow) {
      const { overflowLabelNames, metrics } = this.#info;
      const values = overflowLabelNames.map(() => 'overflow');
      this.#overflow = this.#create(labelText(overflowLabelNames, values));
      this.#shared.overflowed(metrics[0]?.name ?? '');
    }
    return this.#overflow;
  }
}

class StoredCells implements CellSeries {
  readonly id: number;
  readonly labels: string;
  readonly cells: Float64Array;
  lastUsedMs: number;
  isExpired = false;

  constructor({ id, labels, cells, lastUsedMs }: Pick<StoredCells, 'id' | 'labels' | 'cells' | 'lastUsedMs'>) {
    this.id = id;
    this.labels = labels;
    this.cells = cells;
    this.lastUsedMs = lastUsedMs;
  }
}

export function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
