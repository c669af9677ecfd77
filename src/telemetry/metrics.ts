/** Metrics registry: cached series handles, reference counted, bounded in number. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { CellGroup, escapeLabel, type CellGroupInfo } from './cell-group.ts';
import { writeSnapshot, type ExpositionFormat } from './exposition.ts';
import { valuesPerSeries, type GroupSnapshot, type MetricInfo, type MetricsSnapshot } from './snapshot.ts';

/** Metrics that share their label set: one series handle counts them all. */
export interface MetricGroupInfo<Name extends string = string> {
  /** Counters and gauges; in the order of the output. */
  readonly metrics: Readonly<Record<Name, MetricInfo>>;
  /** In the order of the output. */
  readonly labelNames: readonly string[];
  /** Names that a series may lack: written only where their value is not empty. After all of `labelNames`. */
  readonly optionalLabelNames?: readonly string[];
  /** Series stay once they are there: for label values of a small fixed set. */
  readonly neverExpires?: boolean;
}

/**
 * A handle on one label set. The hot path is `series.values.sent += n`: no look-up, no call, no allocation.
 * Whoever acquired it releases it.
 */
export interface Series<Name extends string = string> {
  readonly values: Record<Name, number>;
}

/** Label values for who acquires the same ones again and again: their key is made once. */
export class LabelSet {
  readonly values: readonly string[];
  readonly key: string;

  constructor(values: readonly string[]) {
    this.values = values;
    this.key = keyOf(values);
  }
}

export interface MetricGroup<Name extends string = string> {
  /** The series of these label values (same length as the names), with one more reference. */
  acquire(labelValues: readonly string[] | LabelSet): Series<Name>;
  /** One reference less: without any it expires after a while. */
  release(series: Series<Name>): void;
  /** Acquires, changes once, releases. For what happens rarely. */
  record(labelValues: readonly string[], change: (values: Record<Name, number>) => void): void;
}

export interface Histogram {
  observe(labelValues: readonly string[], value: number): void;
}

export interface MetricsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** A series without references goes this long after its last use. Default 15 minutes. */
  readonly expireAfterMs?: number;
  /** Most series of all groups together; what is beyond is counted in one overflow series a group. Default 20,000. */
  readonly maxSeries?: number;
}

/** What all groups of a registry share. */
export interface SharedSeries {
  readonly clock: Clock;
  readonly expireAfterMs: number;
  /** Counts a new series in; false when there are too many, even without those that have expired. */
  reserve(): boolean;
  free(count: number): void;
  nextId(): number;
  /** Somebody was counted in an overflow series for the first time. */
  overflowed(metric: string): void;
}

/** A full registry looks for expired series this often: looking is a walk over all of them. */
const expiryScanMs = 10_000;

/** All metrics of a thread. */
export class MetricsRegistry {
  readonly #groups: (Group | CellGroup | Reading)[] = [];
  readonly #maxSeries: number;
  readonly #shared: SharedSeries;
  #size = 0;
  #nextId = 1;
  #scanAtMs = -Infinity;

  constructor({ clock, log, expireAfterMs = 15 * 60_000, maxSeries = 20_000 }: MetricsOptions) {
    this.#maxSeries = maxSeries;
    let isTold = false;
    this.#shared = {
      clock,
      expireAfterMs,
      reserve: () => this.#reserve(),
      free: (count) => void (this.#size -= count),
      nextId: () => this.#nextId++,
      overflowed(metric) {
        if (isTold) return;
        isTold = true;
        log.warn('too many metric series: more are counted in one overflow series', { metric, maxSeries });
      },
    };
  }

  /** Registers metrics that share their labels. Names are registered once. */
  group<Name extends string>(info: MetricGroupInfo<Name>): MetricGroup<Name> {
    const group = new Group(info, this.#shared);
    this.#groups.push(group);
    // The names of `info.metrics` are the keys of every series made from it.
    return group as unknown as MetricGroup<Name>;
  }

  /** Registers metrics of a hot path, whose series have labels of their own. */
  cells(info: CellGroupInfo): CellGroup {
    const group = new CellGroup(info, this.#shared);
    this.#groups.push(group);
    return group;
  }

  histogram(info: {
    readonly name: string;
    readonly help: string;
    readonly buckets: readonly number[];
    readonly labelNames: readonly string[];
  }): Histogram {
    const { name, help, buckets, labelNames } = info;
    const group = new Group(
      { metrics: { [name]: { name, help, buckets, kind: 'histogram' } }, labelNames },
      this.#shared,
    );
    this.#groups.push(group);
    return {
      observe(labelValues, value) {
        const found = buckets.findIndex((bound) => value <= bound);
        group.record(labelValues, (values) => {
          const bucket = String(found < 0 ? buckets.length : found);
          values[bucket] = (values[bucket] ?? 0) + 1;
          values['sum'] = (values['sum'] ?? 0) + value;
        });
      },
    };
  }

  /** A gauge without labels that is read when somebody looks. */
  gauge(name: string, help: string, read: () => number, merge: 'sum' | 'max' = 'sum'): void {
    this.#groups.push(new Reading({ name, help, kind: 'gauge', merge }, read, this.#nextId++));
  }

  /** A counter that somebody else keeps, read when somebody looks. */
  counter(name: string, help: string, read: () => number): void {
    this.#groups.push(new Reading({ name, help, kind: 'counter' }, read, this.#nextId++));
  }

  /** All of it as plain values. Expired series go first, so that it is bounded by what is in use. */
  snapshot(): MetricsSnapshot {
    this.#expire();
    return this.#groups.map((group) => group.snapshot());
  }

  /** The exposition in one piece, for processes whose series are few. */
  write(format: ExpositionFormat): string {
    return [...writeSnapshot(this.snapshot(), format)].join('');
  }

  /** How many series exist, but for gauges without labels and for overflow series. */
  get seriesCount(): number {
    return this.#size;
  }

  #reserve(): boolean {
    if (this.#size >= this.#maxSeries) {
      const nowMs = this.#shared.clock.nowMs();
      if (nowMs < this.#scanAtMs) return false;
      this.#scanAtMs = nowMs + expiryScanMs;
      this.#expire();
      if (this.#size >= this.#maxSeries) return false;
    }
    this.#size++;
    return true;
  }

  #expire(): void {
    for (const group of this.#groups) group.expire();
  }
}

class StoredSeries implements Series {
  readonly id: number;
  readonly key: string;
  /** `{a="b",...}`, made once. */
  readonly labels: string;
  readonly values: Record<string, number>;
  references = 0;
  lastUsedMs = 0;

  constructor(id: number, key: string, labels: string, values: Record<string, number>) {
    this.id = id;
    this.key = key;
    this.labels = labels;
    this.values = values;
  }
}

class Group implements MetricGroup {
  readonly #info: MetricGroupInfo;
  readonly #metrics: readonly MetricInfo[];
  readonly #shared: SharedSeries;
  readonly #valueNames: readonly string[];
  readonly #series = new Map<string, StoredSeries>();
  #overflow: StoredSeries | undefined;

  constructor(info: MetricGroupInfo, shared: SharedSeries) {
    this.#info = info;
    this.#metrics = Object.values(info.metrics);
    this.#shared = shared;
    this.#valueNames = Object.entries(info.metrics).flatMap(([key, { buckets }]) =>
      buckets === undefined ? [key] : [...buckets.keys(), buckets.length, 'sum'].map(String),
    );
  }

  acquire(labels: readonly string[] | LabelSet): Series {
    const isSet = labels instanceof LabelSet;
    const key = isSet ? labels.key : keyOf(labels);
    let series = this.#series.get(key);
    if (!series) {
      if (this.#shared.reserve()) {
        series = this.#create(key, isSet ? labels.values : labels);
        this.#series.set(key, series);
      } else series = this.#overflowSeries();
    }
    series.references++;
    return series;
  }

  release(series: Series): void {
    if (!(series instanceof StoredSeries)) throw new Error('A series is released to the group that made it');
    series.references--;
    series.lastUsedMs = this.#shared.clock.nowMs();
  }

  record(labelValues: readonly string[], change: (values: Record<string, number>) => void): void {
    const series = this.acquire(labelValues);
    change(series.values);
    this.release(series);
  }

  snapshot(): GroupSnapshot {
    const all = this.#overflow ? [...this.#series.values(), this.#overflow] : [...this.#series.values()];
    const width = valuesPerSeries(this.#metrics);
    const values = new Float64Array(all.length * width);
    let at = 0;
    for (const series of all) for (const name of this.#valueNames) values[at++] = series.values[name] ?? 0;
    return {
      metrics: this.#metrics,
      ids: Float64Array.from(all, ({ id }) => id),
      labels: all.map(({ labels }) => labels),
      values,
    };
  }

  expire(): void {
    if (this.#info.neverExpires === true) return;
    const before = this.#shared.clock.nowMs() - this.#shared.expireAfterMs;
    let gone = 0;
    for (const series of this.#series.values()) {
      if (series.references > 0 || series.lastUsedMs > before) continue;
      this.#series.delete(series.key);
      gone++;
    }
    this.#shared.free(gone);
  }

  #create(key: string, labelValues: readonly string[]): StoredSeries {
    const { labelNames, optionalLabelNames = [] } = this.#info;
    const labels = [...labelNames, ...optionalLabelNames]
      .map((name, i) => ({ name, value: labelValues[i] ?? '' }))
      .filter(({ value }, i) => i < labelNames.length || value !== '')
      .map(({ name, value }) => `${name}="${escapeLabel(value)}"`);
    const values = Object.fromEntries(this.#valueNames.map((name) => [name, 0]));
    return new StoredSeries(this.#shared.nextId(), key, labels.length === 0 ? '' : `{${labels.join(',')}}`, values);
  }

  #overflowSeries(): StoredSeries {
    if (!this.#overflow) {
      this.#overflow = this.#create(
        'overflow',
        this.#info.labelNames.map(() => 'overflow'),
      );
      this.#shared.overflowed(this.#metrics[0]?.name ?? '');
    }
    return this.#overflow;
  }
}

function keyOf(labelValues: readonly string[]): string {
  return labelValues.join('\0');
}

/** One value without labels. */
class Reading {
  readonly #info: MetricInfo;
  readonly #read: () => number;
  readonly #id: number;

  constructor(info: MetricInfo, read: () => number, id: number) {
    this.#info = info;
    this.#read = read;
    this.#id = id;
  }

  snapshot(): GroupSnapshot {
    return {
      metrics: [this.#info],
      ids: Float64Array.of(this.#id),
      labels: [''],
      values: Float64Array.of(this.#read()),
    };
  }

  expire(): void {}
}
