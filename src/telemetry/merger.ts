/** Makes one registry's worth of metrics of what several threads count: each sends snapshots, the sum never goes back. */
import { valueCount, valuesPerSeries, type GroupSnapshot, type MetricInfo, type MetricsSnapshot } from './snapshot.ts';

interface Share {
  readonly id: number;
  readonly values: Float64Array;
}

interface MergedSeries {
  readonly id: number;
  /** What threads had counted when the series expired there. While another still has it, a counter must not go back. */
  retired: Float64Array | undefined;
  readonly shares: Map<string, Share>;
}

interface MergedGroup {
  readonly metrics: readonly MetricInfo[];
  readonly series: Map<string, MergedSeries>;
}

/**
 * A series lives as long as any thread has it, and starts again at 0 once all have forgotten it. Groups are the same when their
 * first metric is.
 */
export class MetricsMerger {
  readonly #groups = new Map<string, MergedGroup>();
  #nextId = 1;

  /** Replaces what `source` said before. Keeps the snapshot's memory. */
  update(source: string, snapshot: MetricsSnapshot): void {
    for (const group of snapshot) this.#updateGroup(source, group);
  }

  /** A source that is gone: what it counted stays in the series that others have too. */
  remove(source: string): void {
    for (const group of this.#groups.values()) {
      for (const [labels, series] of group.series) this.#dropShare(group, labels, series, source);
    }
  }

  snapshot(): MetricsSnapshot {
    return [...this.#groups.values()].map(({ metrics, series }) => {
      const width = valuesPerSeries(metrics);
      const ids = new Float64Array(series.size);
      const values = new Float64Array(series.size * width);
      const adds = additive(metrics);
      let index = 0;
      for (const merged of series.values()) {
        const at = index * width;
        ids[index++] = merged.id;
        if (merged.retired) values.set(merged.retired, at);
        for (const share of merged.shares.values()) {
          for (let i = 0; i < width; i++) {
            const value = share.values[i] ?? 0;
            values[at + i] = adds[i] === true ? (values[at + i] ?? 0) + value : Math.max(values[at + i] ?? 0, value);
          }
        }
      }
      return { metrics, ids, labels: [...series.keys()], values };
    });
  }

  #updateGroup(source: string, { metrics, ids, labels, values }: GroupSnapshot): void {
    const name = metrics[0]?.name ?? '';
    const group = this.#groups.get(name) ?? { metrics, series: new Map<string, MergedSeries>() };
    this.#groups.set(name, group);
    const width = valuesPerSeries(metrics);
    const seen = new Set<string>();
    for (const [index, text] of labels.entries()) {
      seen.add(text);
      let series = group.series.get(text);
      if (!series) {
        series = { id: this.#nextId++, retired: undefined, shares: new Map() };
        group.series.set(text, series);
      }
      const id = ids[index] ?? 0;
      const before = series.shares.get(source);
      // It expired there and began again at 0 between two snapshots.
      if (before && before.id !== id) retire(series, metrics, before.values);
      series.shares.set(source, { id, values: values.subarray(index * width, (index + 1) * width) });
    }
    for (const [text, series] of group.series) if (!seen.has(text)) this.#dropShare(group, text, series, source);
  }

  #dropShare(group: MergedGroup, labels: string, series: MergedSeries, source: string): void {
    const share = series.shares.get(source);
    if (!share) return;
    series.shares.delete(source);
    if (series.shares.size === 0) group.series.delete(labels);
    else retire(series, group.metrics, share.values);
  }
}

function retire(series: MergedSeries, metrics: readonly MetricInfo[], values: Float64Array): void {
  series.retired ??= new Float64Array(values.length);
  let at = 0;
  for (const info of metrics) {
    const count = valueCount(info);
    // What a gauge said is no longer so.
    if (info.kind !== 'gauge') {
      for (let i = at; i < at + count; i++) series.retired[i] = (series.retired[i] ?? 0) + (values[i] ?? 0);
    }
    at += count;
  }
}

/** By value of a series: whether shares are added. */
function additive(metrics: readonly MetricInfo[]): boolean[] {
  return metrics.flatMap((info) => Array.from({ length: valueCount(info) }, () => info.merge !== 'max'));
}
