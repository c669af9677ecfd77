/** Outlier detection of one backend: takes hosts out as their answers say, and back in when their time is over. */
import type { OutlierDetection } from '../../api/l7/index.ts';
import { eject, forgive, mayEject, noteFailure, noteStatus, restore } from '../../decision/balance/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { BackendStats } from './backend-stats.ts';
import type { Host } from './host.ts';

/** Outlier detection of one backend, as its pool uses it. */
export interface Outliers {
  /** How many hosts are out. */
  readonly ejected: number;
  configure(config: OutlierDetection | undefined): void;
  /** A host answered. */
  onStatus(host: Host, status: number): void;
  /** A host gave no answer. */
  onFailure(host: Host): void;
  close(): void;
}

export type OpenOutliers = (options: OutlierWatchOptions, config: OutlierDetection | undefined) => Outliers;

export interface OutlierWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly backend: string;
  readonly stats: BackendStats;
  readonly hosts: () => Iterable<Host>;
  /** Has `hosts` follow the mesh. */
  readonly refresh: () => void;
  /** A host was taken out or back in. */
  readonly onChange: () => void;
}

export class OutlierWatch implements Outliers {
  readonly #options: OutlierWatchOptions;
  #config: OutlierDetection | undefined;
  #ejected = 0;
  #cancel: (() => void) | undefined;

  constructor(options: OutlierWatchOptions, config: OutlierDetection | undefined) {
    this.#options = options;
    this.#config = config;
  }

  get ejected(): number {
    return this.#ejected;
  }

  configure(config: OutlierDetection | undefined): void {
    this.#config = config;
    if (config) return;
    this.close();
    let changed = false;
    for (const host of this.#options.hosts()) {
      changed ||= host.isEjected;
      restore(host.outlier);
      host.outlier.multiplier = 0;
    }
    this.#count();
    if (changed) this.#options.onChange();
  }

  onStatus(host: Host, status: number): void {
    if (this.#config && noteStatus(host.outlier, status, this.#config)) this.#eject(host, this.#config);
  }

  onFailure(host: Host): void {
    if (this.#config && noteFailure(host.outlier, this.#config)) this.#eject(host, this.#config);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #eject(host: Host, config: OutlierDetection): void {
    if (host.isEjected) return;
    const { hosts, ejected } = this.#count();
    if (!mayEject(config, hosts, ejected)) return;
    const { clock, log, backend, stats, onChange } = this.#options;
    const nowMs = clock.nowMs();
    eject(host.outlier, config, nowMs);
    stats.ejections++;
    log.info('host ejected', { backend, host: host.key, forMs: host.outlier.ejectedUntilMs - nowMs });
    this.#count();
    onChange();
    // A tick that is due later than the host's return waits too long.
    this.close();
    this.#schedule(config);
  }

  /** Until the next interval is over, or a host may come back. */
  #schedule(config: OutlierDetection): void {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    let waitMs = config.intervalMs;
    let isNeeded = false;
    for (const { outlier } of this.#options.hosts()) {
      if (outlier.multiplier > 0) isNeeded = true;
      if (outlier.ejectedUntilMs > 0) waitMs = Math.min(waitMs, outlier.ejectedUntilMs - nowMs);
    }
    if (isNeeded) this.#cancel = clock.after(Math.max(waitMs, 1), () => this.#tick());
  }

  #tick(): void {
    this.#cancel = undefined;
    const config = this.#config;
    if (!config) return;
    const { clock, log, backend, onChange } = this.#options;
    const nowMs = clock.nowMs();
    let changed = false;
    for (const host of this.#options.hosts()) {
      forgive(host.outlier);
      if (!host.isEjected || host.outlier.ejectedUntilMs > nowMs) continue;
      restore(host.outlier);
      changed = true;
      log.info('host is back', { backend, host: host.key });
    }
    this.#count();
    if (changed) onChange();
    this.#schedule(config);
  }

  #count(): { hosts: number; ejected: number } {
    let hosts = 0;
    let ejected = 0;
    for (const host of this.#options.hosts()) {
      hosts++;
      if (host.isEjected) ejected++;
    }
    this.#options.stats.ejected += ejected - this.#ejected;
    this.#ejected = ejected;
    return { hosts, ejected };
  }
}
