/** Metrics registry: cached series handles, reference counted, bounded in number, written as OpenMetrics or Prometheus text. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

export interface MetricInfo {
  /** Without `_total`: the writer adds it to counters. */
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
}

/** Metrics that share their label set: one series handle counts them all. */
export interface MetricGroupInfo<Name extends string = string> {
  readonly metrics: Readonly<Record<Name, MetricInfo>>;
  /** In the order of the output. */
  readonly labelNames: readonly string[];
}

/**
 * A handle on one label set. The hot path is `series.values.sent += n`: no look-up, no call, no allocation.
 * Whoever acquired it releases it.
 */
export interface Series<Name extends string = string> {
  readonly values: Record<Name, number>;
}

export interface MetricGroup<Name extends string = string> {
  /** The series of these label values (same length as the names), with one more reference. */
  acquire(labelValues: readonly string[]): Series<Name>;
  /** One reference less: without any it expires after a while. */
  release(series: Series<Name>): void;
  /** Acquires, changes once, releases. For what happens rarely. */
  record(labelValues: readonly string[], change: (values: Record<Name, number>) => void): void;
}

export interface MetricsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** A series without references goes this long after its last use. Default 15 minutes. */
  readonly expireAfterMs?: number;
  /** Most series of a group; what is beyond is counted in one overflow series. Default 20,000. */
  readonly maxSeriesPerGroup?: number;
}

export type ExpositionFormat = 'openmetrics' | 'text';

export const expositionContentType: Record<ExpositionFormat, string> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
};

/** The format that an `Accept` header asks for. */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  return accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'text';
}

/** All metrics of a process. */
export class MetricsRegistry {
  readonly #options: MetricsOptions;
  readonly #groups: Group[] = [];
  readonly #gauges: { readonly info: MetricInfo; readonly read: () => number }[] = [];

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  /** Registers metrics that share their labels. Names are registered once. */
  group<Name extends string>(info: MetricGroupInfo<Name>): MetricGroup<Name> {
    const group = new Group(info, this.#options);
    this.#groups.push(group);
    // The names of `info.metrics` are the keys of every series made from it.
    return group as unknown as MetricGroup<Name>;
  }

  /** A gauge without labels that is read when somebody looks. */
  gauge(name: string, help: string, read: () => number): void {
    this.#gauges.push({ info: { name, help, kind: 'gauge' }, read });
  }

  /** The exposition. Expired series go first, so that it is bounded by what is in use. */
  write(format: ExpositionFormat): string {
    const out: string[] = [];
    for (const group of this.#groups) group.write(format, out);
    for (const { info, read } of this.#gauges) {
      writeHead(info, format, out);
      out.push(`${info.name} ${read()}\n`);
    }
    if (format === 'openmetrics') out.push('# EOF\n');
    return out.join('');
  }

  /** How many series exist. */
  get seriesCount(): number {
    return this.#groups.reduce((sum, group) => sum + group.size, 0);
  }
}

class StoredSeries implements Series {
  readonly values: Record<string, number>;
  readonly key: string;
  /** `{a="b",...}`, made once. */
  readonly labels: string;
  references = 0;
  lastUsedMs = 0;

  constructor(key: string, labels: string, values: Record<string, number>) {
    this.key = key;
    this.labels = labels;
    this.values = values;
  }
}

class Group implements MetricGroup {
  readonly #info: MetricGroupInfo;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #expireAfterMs: number;
  readonly #maxSeries: number;
  readonly #series = new Map<string, StoredSeries>();
  #overflow: StoredSeries | undefined;

  constructor(info: MetricGroupInfo, options: MetricsOptions) {
    this.#info = info;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#expireAfterMs = options.expireAfterMs ?? 15 * 60_000;
    this.#maxSeries = options.maxSeriesPerGroup ?? 20_000;
  }

  get size(): number {
    return this.#series.size + (this.#overflow ? 1 : 0);
  }

  acquire(labelValues: readonly string[]): Series {
    const key = labelValues.join('\0');
    let series = this.#series.get(key);
    if (!series) {
      if (this.#series.size >= this.#maxSeries) this.#expire();
      if (this.#series.size >= this.#maxSeries) return this.#overflowSeries();
      series = this.#create(key, labelValues);
      this.#series.set(key, series);
    }
    series.references++;
    return series;
  }

  release(series: Series): void {
    if (!(series instanceof StoredSeries)) throw new Error('A series is released to the group that made it');
    series.references--;
    series.lastUsedMs = this.#clock.nowMs();
  }

  record(labelValues: readonly string[], change: (values: Record<string, number>) => void): void {
    const series = this.acquire(labelValues);
    change(series.values);
    this.release(series);
  }

  write(format: ExpositionFormat, out: string[]): void {
    this.#expire();
    const all = [...this.#series.values()];
    if (this.#overflow) all.push(this.#overflow);
    for (const [key, info] of Object.entries(this.#info.metrics)) {
      // A series has a line in a metric once it counted something there; a gauge may be 0 again.
      const lines = all.filter((series) => info.kind === 'gauge' || series.values[key] !== 0);
      if (lines.length === 0) continue;
      writeHead(info, format, out);
      const name = info.kind === 'counter' ? `${info.name}_total` : info.name;
      for (const series of lines) out.push(`${name}${series.labels} ${series.values[key]}\n`);
    }
  }

  #create(key: string, labelValues: readonly string[]): StoredSeries {
    const labels = this.#info.labelNames.map((name, i) => `${name}="${escapeLabel(labelValues[i] ?? '')}"`);
    const values = Object.fromEntries(Object.keys(this.#info.metrics).map((name) => [name, 0]));
    return new StoredSeries(key, labels.length === 0 ? '' : `{${labels.join(',')}}`, values);
  }

  #overflowSeries(): Series {
    if (!this.#overflow) {
      this.#overflow = this.#create(
        'overflow',
        this.#info.labelNames.map(() => 'overflow'),
      );
      const metric = Object.values(this.#info.metrics)[0]?.name;
      this.#log.warn('too many metric series: more are counted in one overflow series', {
        metric,
        maxSeries: this.#maxSeries,
      });
    }
    this.#overflow.references++;
    return this.#overflow;
  }

  #expire(): void {
    const before = this.#clock.nowMs() - this.#expireAfterMs;
    for (const series of this.#series.values()) {
      if (series.references === 0 && series.lastUsedMs <= before) this.#series.delete(series.key);
    }
  }
}

function writeHead(info: MetricInfo, format: ExpositionFormat, out: string[]): void {
  // OpenMetrics names the family, the older text format the sample.
  const name = info.kind === 'counter' && format === 'text' ? `${info.name}_total` : info.name;
  out.push(`# HELP ${name} ${info.help}\n# TYPE ${name} ${info.kind}\n`);
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
