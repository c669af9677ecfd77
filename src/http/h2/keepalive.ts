/** Keepalive: a PING after a quiet time; no answer in time ends the connection. */
import type { Clock } from '../../lib/clock.ts';

export interface KeepaliveOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly sendPing: () => void;
  readonly onTimeout: () => void;
}

export class Keepalive {
  readonly #options: KeepaliveOptions;
  #cancel: (() => void) | undefined;
  /** Something arrived since the last look. Set by the session on every read: a plain field, no call. */
  active = false;
  #pingSentAtMs: number | undefined;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.intervalMs > 0) this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The answer to our PING came; false when there was none to answer. */
  onPong(): boolean {
    const isAwaited = this.#pingSentAtMs !== undefined;
    this.#pingSentAtMs = undefined;
    return isAwaited;
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => this.#look());
  }

  #look(): void {
    const { clock, timeoutMs, sendPing, onTimeout } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#pingSentAtMs !== undefined && nowMs - this.#pingSentAtMs >= timeoutMs) {
      onTimeout();
      return;
    }
    // A peer that sends is alive: no PING needed.
    if (!this.active && this.#pingSentAtMs === undefined) {
      this.#pingSentAtMs = nowMs;
      sendPing();
    }
    this.active = false;
    this.#schedule();
  }
}
