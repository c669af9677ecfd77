/** A probe, run again and again: counts successes and failures and says when a threshold is reached. */
import type { Probe } from '../../api/index.ts';
import { sleep } from '../../lib/clock.ts';
import type { ProbeOutcome } from './probe-check.ts';

export interface ProbeLoopOptions {
  readonly probe: Probe;
  readonly check: () => Promise<ProbeOutcome>;
  /** A threshold was reached; called when the verdict changes, and for the first one. */
  readonly onVerdict: (ok: boolean, message: string) => void;
  /** One probe failed, and it counts. */
  readonly onFailure: (message: string) => void;
  /**
   * Look more often until the first success, so that a container which starts in a second is not waited for a whole
   * period. What fails then counts once a period, the first one not at all: it has just been started.
   */
  readonly eager: boolean;
  readonly signal: AbortSignal;
}

const eagerStepsMs = [50, 100, 150, 250, 400, 600, 1000];

/** Resolves when `signal` aborts. */
export async function runProbeLoop(options: ProbeLoopOptions): Promise<void> {
  const { probe, signal } = options;
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const failureThreshold = probe.failureThreshold ?? 3;
  const successThreshold = probe.successThreshold ?? 1;
  let verdict: boolean | undefined;
  let successes = 0;
  let failures = 0;
  let step = 0;
  let sinceCountedMs = options.eager ? 0 : periodMs;
  if (probe.initialDelaySeconds) await sleep(probe.initialDelaySeconds * 1000, signal);
  while (!signal.aborted) {
    const { ok, message } = await options.check();
    if (signal.aborted) return;
    if (ok) {
      successes++;
      failures = 0;
    } else if (sinceCountedMs >= periodMs) {
      failures++;
      successes = 0;
      sinceCountedMs = 0;
      options.onFailure(message);
    }
    const reached = ok ? successes >= successThreshold : failures >= failureThreshold;
    if (reached && verdict !== ok) {
      verdict = ok;
      options.onVerdict(ok, message);
    }
    const isEager = options.eager && verdict !== true && step < eagerStepsMs.length;
    const delayMs = isEager ? Math.min(eagerStepsMs[step++] ?? periodMs, periodMs) : periodMs;
    sinceCountedMs += delayMs;
    await sleep(delayMs, signal);
  }
}
