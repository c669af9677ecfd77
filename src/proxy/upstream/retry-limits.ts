/** How many retries a backend may have: at once, and as a part of its requests. */
import type { Backend } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';

/** Requests and retries of the current interval and of the one before. */
interface Window {
  startMs: number;
  requests: number;
  retries: number;
  requestsBefore: number;
  retriesBefore: number;
}

/** What other threads of the process count at the same backend. */
export interface SharedRetries {
  elsewhere(): number;
  add(change: 1 | -1): void;
}

export class RetryLimits {
  readonly #clock: Clock;
  readonly #activeRequests: () => number;
  readonly #shared: SharedRetries | undefined;
  #active = 0;
  #config: Pick<Backend, 'connectionPool' | 'retryBudget'>;
  readonly #window: Window = { startMs: -Infinity, requests: 0, retries: 0, requestsBefore: 0, retriesBefore: 0 };

  /** `activeRequests`: those of all threads. A budget over time is a share of each thread's own requests. */
  constructor(
    clock: Clock,
    config: Pick<Backend, 'connectionPool' | 'retryBudget'>,
    counts: { readonly activeRequests: () => number; readonly shared?: SharedRetries | undefined },
  ) {
    this.#clock = clock;
    this.#config = config;
    this.#activeRequests = counts.activeRequests;
    this.#shared = counts.shared;
  }

  get active(): number {
    return this.#active;
  }

  configure(config: Pick<Backend, 'connectionPool' | 'retryBudget'>): void {
    this.#config = config;
  }

  /** Counts a request, where a budget over time asks for it. */
  onRequest(isRetry: boolean): void {
    const budget = this.#config.retryBudget;
    if (!budget || budget.intervalMs === 0) return;
    const window = this.#windowNow(budget.intervalMs);
    if (isRetry) window.retries++;
    else window.requests++;
  }

  start(): { end(): void } | undefined {
    if (!this.#allows()) return undefined;
    this.#active++;
    this.#shared?.add(1);
    let ended = false;
    return {
      end: () => {
        if (ended) return;
        ended = true;
        this.#active--;
        this.#shared?.add(-1);
      },
    };
  }

  #allows(): boolean {
    const { connectionPool, retryBudget } = this.#config;
    // A budget takes the place of the plain limit.
    const active = this.#active + (this.#shared?.elsewhere() ?? 0);
    if (!retryBudget) return active < (connectionPool.maxRetries ?? Infinity);
    const { percent, minConcurrency, intervalMs } = retryBudget;
    if (active < minConcurrency) return true;
    if (intervalMs === 0) return active < (percent / 100) * this.#activeRequests();
    const window = this.#windowNow(intervalMs);
    const left = 1 - (this.#clock.nowMs() - window.startMs) / intervalMs;
    const requests = window.requests + left * window.requestsBefore;
    const retries = window.retries + left * window.retriesBefore;
    return retries < (percent / 100) * requests;
  }

  #windowNow(intervalMs: number): Window {
    const window = this.#window;
    const ageMs = this.#clock.nowMs() - window.startMs;
    if (ageMs < intervalMs) return window;
    const follows = ageMs < 2 * intervalMs;
    window.requestsBefore = follows ? window.requests : 0;
    window.retriesBefore = follows ? window.retries : 0;
    window.requests = 0;
    window.retries = 0;
    window.startMs = follows ? window.startMs + intervalMs : this.#clock.nowMs();
    return window;
  }
}
