/** What a process holds over time, and whether that is flat. */
import { readdirSync } from 'node:fs';

export interface Sample {
  readonly seconds: number;
  readonly rssMb: number;
  /** Of JavaScript objects and of buffers, after a garbage collection. */
  readonly heldMb: number;
  readonly descriptors: number;
  readonly handles: number;
}

/** Needs `--expose-gc`. */
export function takeSample(): Sample {
  global.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    seconds: Math.round(process.uptime()),
    rssMb: rss / 1e6,
    heldMb: (heapUsed + external) / 1e6,
    descriptors: readdirSync('/proc/self/fd').length,
    handles: process.getActiveResourcesInfo().length,
  };
}

export function formatSample({ seconds, rssMb, heldMb, descriptors, handles }: Sample): string {
  const mb = (value: number): string => value.toFixed(1).padStart(6);
  return `${String(seconds).padStart(5)} s  RSS ${mb(rssMb)} MB  held ${mb(heldMb)} MB  descriptors ${descriptors}  handles ${handles}`;
}

/**
 * Compares the last quarter with the second one: the first is for warming up. Their medians, because a sample may catch a burst of
 * downloads under way, and a leak moves all of them. Generous, as churn is never the same twice.
 */
export function flatnessProblems(samples: readonly Sample[]): string[] {
  const quarter = Math.floor(samples.length / 4);
  if (quarter < 1) return ['too short to tell'];
  const early = samples.slice(quarter, 2 * quarter);
  const late = samples.slice(-quarter);
  return (
    [
      ['heldMb', 4, 0.1],
      ['rssMb', 30, 0.15],
      ['descriptors', 40, 0.2],
      ['handles', 40, 0.2],
    ] as const
  ).flatMap(([what, slack, share]) => {
    const [before, after] = [early, late].map((part) => median(part.map((sample) => sample[what])));
    if (before === undefined || after === undefined || after <= before * (1 + share) + slack) return [];
    return [`${what} grew from ${before.toFixed(1)} to ${after.toFixed(1)}`];
  });
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
