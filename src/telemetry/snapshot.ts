/** The state of a registry as plain values that a worker can send: columns, not objects, as there may be many series. */

export type MetricKind = 'counter' | 'gauge' | 'histogram';

export interface MetricInfo {
  /** Without `_total`: the writer adds it to counters. */
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  /** Upper bounds of a histogram, ascending, without infinity. */
  readonly buckets?: readonly number[];
  /** How a gauge of several threads is one: their sum (default), or the largest, where all of them tell of the same thing. */
  readonly merge?: 'sum' | 'max';
}

/** Metrics with the same series. */
export interface GroupSnapshot {
  readonly metrics: readonly MetricInfo[];
  /** One a series, unique in its registry for ever: a series that expired and came again has another. */
  readonly ids: Float64Array;
  /** One a series: `{a="b",...}`, or empty. */
  readonly labels: readonly string[];
  /** `valueCount` of each metric in turn, series after series. */
  readonly values: Float64Array;
}

export type MetricsSnapshot = readonly GroupSnapshot[];

/** How many values a series has of a metric: a histogram's are its buckets, the one above them, and the sum. */
export function valueCount({ buckets }: MetricInfo): number {
  return buckets === undefined ? 1 : buckets.length + 2;
}

/** Of all metrics of a group together. */
export function valuesPerSeries(metrics: readonly MetricInfo[]): number {
  return metrics.reduce((sum, info) => sum + valueCount(info), 0);
}
