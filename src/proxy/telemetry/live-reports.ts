/** What lasts long is counted while it lasts: every five seconds, by one timer for all. */
import type { Clock } from '../../lib/clock.ts';

export interface LiveReport {
  /** Counts what has come since the last time. `isLast`: it is over. */
  tell(nowMs: number, isLast: boolean): void;
}

/** As Istio's `reportingInterval`. */
const intervalMs = 5000;

export class LiveReports {
  readonly #clock: Clock;
  readonly #reports = new Set<LiveReport>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(report: LiveReport): void {
    this.#reports.add(report);
    this.#cancel ??= this.#clock.after(intervalMs, () => this.#tick());
  }

  /** Its last report. */
  finish(report: LiveReport): void {
    if (!this.#reports.delete(report)) return;
    report.tell(this.#clock.nowMs(), true);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    for (const report of this.#reports) report.tell(nowMs, false);
    this.#cancel = this.#reports.size === 0 ? undefined : this.#clock.after(intervalMs, () => this.#tick());
  }
}
