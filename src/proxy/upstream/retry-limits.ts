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

export class RetryLimits {
  readonly #clock: Clock;
  readonly #activeRequests: () => number;
  #active = 0;
  #config: Pick<Backend, 'connectionPool' | 'retryBudget'>;
  readonly #window: Window = { startMs: -Infinity, requests: 0, retries: 0, requestsBefore: 0, retriesBefore: 0 };

  constructor(clock: Clock, config: Pick<Backend, 'connectionPool' | 'retryBudget'>, activeRequests: () => number) {
    this.#clock = clock;
    this.#config = config;
    this.#activeRequests = activeRequests;
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
    let ended = false;
    return {
      end: () => {
        if (!ended) this.#active--;
        ended = true;
      },
    };
  }

  #allows(): boolean {
    const { connectionPool, retryBudget } = this.#config;
    // A budget takes the place of the plain limit.
    if (!retryBudget) return this.#active < (connectionPool.maxRetries ?? Infinity);
    const { percent, minConcurrency, intervalMs } = retryBudget;
    if (this.#active < minConcurrency) return true;
    if (intervalMs === 0) return this.#active < (percent / 100) * this.#activeRequests();
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
