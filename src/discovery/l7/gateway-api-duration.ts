/** Durations of the Gateway API (GEP-2257): `1h30m10s500ms`, each unit at most five digits. Pure. */

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Undefined: absent, or no duration. */
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:\d{1,5}(?:h|ms|m|s)){1,4}$/.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)(ms|h|m|s)/g)) total += Number(count) * (unitsMs[unit] ?? 0);
  return total;
}
