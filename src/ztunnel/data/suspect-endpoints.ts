/** Endpoints that could not be reached a moment ago, by pod: what is out of reach for one pod may be fine for another. */
import type { WorkloadUid } from '../../api/names.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EndpointAvoidance } from '../../decision/index.ts';

const maxRemembered = 4096;

export class SuspectEndpoints {
  readonly #clock: Clock;
  readonly #rememberMs: number;
  /** Until when, by pod and endpoint, oldest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock, rememberMs: number) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
  }

  failed(podUid: string, endpoint: WorkloadUid): void {
    const key = keyOf(podUid, endpoint);
    // To the end of the map: it stays in the order of expiry.
    this.#until.delete(key);
    this.#until.set(key, this.#clock.nowMs() + this.#rememberMs);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= maxRemembered) break;
      this.#until.delete(oldest);
    }
  }

  worked(podUid: string, endpoint: WorkloadUid): void {
    if (this.#until.size > 0) this.#until.delete(keyOf(podUid, endpoint));
  }

  /** What one connection of the pod avoids; `tried` may grow while it is used. */
  avoidance(podUid: string, tried: ReadonlySet<WorkloadUid>): EndpointAvoidance | undefined {
    this.#forgetOld();
    const anySuspect = this.#until.size > 0;
    if (!anySuspect && tried.size === 0) return undefined;
    return { tried, anySuspect, isSuspect: (uid) => this.#until.has(keyOf(podUid, uid)) };
  }

  #forgetOld(): void {
    if (this.#until.size === 0) return;
    const nowMs = this.#clock.nowMs();
    for (const [key, untilMs] of this.#until) {
      if (untilMs > nowMs) return;
      this.#until.delete(key);
    }
  }
}

function keyOf(podUid: string, endpoint: WorkloadUid): string {
  return `${podUid} ${endpoint}`;
}
