/**
 * How soon an issuer is asked again for its keys because a token named one that is not known. Strangers write tokens: where asking
 * brings nothing new, the pauses grow, with jitter, so that no stream of invented keys becomes a load on the issuer.
 */
import { createBackoff, type Backoff } from '../lib/backoff.ts';

/** Between fetches while each brings new keys. */
const shortestPauseMs = 5000;
/** An issuer's rotation is heard of within this, whoever else sends what. */
const longestPauseMs = 2 * 60_000;

export class AskedPace {
  readonly #growing: Backoff = createBackoff({ initialMs: 2 * shortestPauseMs, maxMs: longestPauseMs });
  #pauseMs = shortestPauseMs;
  #lastAskMs = -Infinity;

  /** Somebody asks: the least time from the last fetch to the next one. Those who asked in vain are forgotten once all have been quiet. */
  pauseFor(nowMs: number): number {
    // A clock that was set back is no time that passed.
    if (nowMs - this.#lastAskMs >= longestPauseMs) this.#begin();
    this.#lastAskMs = nowMs;
    return this.#pauseMs;
  }

  /** What the fetch brought that somebody had asked for. */
  fetched(isNew: boolean): void {
    if (isNew) this.#begin();
    else this.#pauseMs = this.#growing.next();
  }

  #begin(): void {
    this.#growing.reset();
    this.#pauseMs = shortestPauseMs;
  }
}
