/** Hosts for tests of load balancing (tests only). */
import type { BalancedHost } from './host.ts';

export interface TestHost extends BalancedHost {
  healthy: boolean;
  activeRequests: number;
}

export function testHost(key: string, more: Partial<TestHost> & { readonly at?: string } = {}): TestHost {
  const { at = '', ...rest } = more;
  const [region = '', zone = '', subzone = ''] = at.split('/');
  return {
    key,
    weight: 1,
    priority: 0,
    locality: { region, zone, subzone },
    healthy: true,
    activeRequests: 0,
    ...rest,
  };
}

/** Draws `count` times; how often each was drawn. */
export function tally(
  count: number,
  draw: (i: number) => { readonly key: string } | undefined,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const key = draw(i)?.key ?? 'none';
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** A fixed sequence of uniform numbers in [0, 1). */
export function seededRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    // mulberry32
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
