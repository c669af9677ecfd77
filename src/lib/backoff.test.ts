import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createBackoff } from './backoff.ts';

describe('backoff', () => {
  it('doubles up to its limit, and starts over after a reset', () => {
    const backoff = createBackoff({ initialMs: 100, maxMs: 700, jitter: 0 });
    assert.deepEqual(
      Array.from({ length: 5 }, () => backoff.next()),
      [100, 200, 400, 700, 700],
    );
    backoff.reset();
    assert.equal(backoff.next(), 100);
  });

  it('spreads delays by its jitter, and never past its limit', () => {
    fc.assert(
      fc.property(
        fc.record({
          initialMs: fc.integer({ min: 1, max: 1000 }),
          maxMs: fc.integer({ min: 1000, max: 60_000 }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
          randoms: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
        }),
        ({ initialMs, maxMs, jitter, randoms }) => {
          let drawn = 0;
          const backoff = createBackoff({ initialMs, maxMs, jitter, random: () => randoms[drawn++] ?? 0 });
          for (let step = 0; step < randoms.length; step++) {
            const base = Math.min(initialMs * 2 ** step, maxMs);
            const delay = backoff.next();
            assert.ok(delay <= maxMs);
            assert.ok(delay >= base * (1 - jitter) - 1e-6 && delay <= base * (1 + jitter) + 1e-6);
          }
        },
      ),
      { seed: 1 },
    );
  });
});
