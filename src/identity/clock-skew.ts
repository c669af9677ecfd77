/** How far the authority's clock is from ours, by what its answers say; a certificate is the only thing it dates. */

export interface IssueTimes {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The lifetime that was asked for. */
  readonly ttlMs: number;
  readonly nowMs: number;
}

/** Ours and istiod's authorities date certificates back by this much. */
const backdateMs = 120_000;
/** Certificates count in seconds, and answers take a moment. */
const toleranceMs = 5000;
/** Beyond this people should look at their clocks: it eats into what dating back forgives. */
export const worrisomeSkewMs = 30_000;

/**
 * Milliseconds by which the authority's clock is ahead of ours, negative when it is behind; undefined when its answer
 * does not tell: dated otherwise than we know, or cut short, and valid now.
 */
export function clockSkewMs({ notBeforeMs, notAfterMs, ttlMs, nowMs }: IssueTimes): number | undefined {
  const byStart = notBeforeMs + backdateMs - nowMs;
  const byEnd = notAfterMs - ttlMs - nowMs;
  if (Math.abs(byStart - byEnd) <= toleranceMs) return byEnd;
  // At least as much: it would not date into its own future, nor sign what has ended.
  if (notBeforeMs > nowMs) return notBeforeMs - nowMs;
  return notAfterMs < nowMs ? notAfterMs - nowMs : undefined;
}

/** For people: which clock is ahead, and by how much. */
export function describeSkew(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return skewMs > 0
    ? `our clock is ${seconds} s behind the authority's`
    : `our clock is ${seconds} s ahead of the authority's`;
}
