/** Slow start: a new host gets a growing part of its weight (as in Envoy). */
import type { Warmup } from '../../api/l7/index.ts';

/** The factor, above 0 and up to 1, `ageMs` after a host appeared. */
export function warmupFactor({ durationMs, minimumPercent, aggression }: Warmup, ageMs: number): number {
  if (ageMs >= durationMs) return 1;
  const part = Math.max(ageMs, 1) / durationMs;
  // Never 0: a host without weight is never drawn, so it would never warm up.
  return Math.min(1, Math.max(minimumPercent / 100, part ** (1 / aggression), 0.001));
}

/** How long a factor is good enough while hosts warm up. */
export function warmupStepMs({ durationMs }: Warmup): number {
  return Math.min(Math.max(durationMs / 50, 100), 1000);
}
