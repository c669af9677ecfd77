import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TokenBuckets } from './rate-limit.ts';

const perSecond = { burst: 3, tokens: 2, intervalMs: 1000 };

describe('token buckets', () => {
  it('begin full, empty, and fill evenly', () => {
    const buckets = new TokenBuckets(perSecond);
    assert.deepEqual(buckets.level('a', 0), { remaining: 3, nextMs: 0, fullMs: 0 });
    for (const remaining of [2, 1, 0]) assert.equal(buckets.take('a', 0).remaining, remaining);
    assert.deepEqual(buckets.level('a', 0), { remaining: 0, nextMs: 500, fullMs: 1500 });
    assert.deepEqual(buckets.level('a', 400), { remaining: 0, nextMs: 100, fullMs: 1100 });
    assert.equal(buckets.level('a', 500).remaining, 1);
    assert.equal(buckets.level('a', 1499).remaining, 2);
    assert.equal(buckets.level('a', 10_000).remaining, 3);
  });

  it('are one for each key', () => {
    const buckets = new TokenBuckets({ burst: 1, tokens: 1, intervalMs: 1000 });
    buckets.take('a', 0);
    assert.equal(buckets.level('a', 0).remaining, 0);
    assert.equal(buckets.level('b', 0).remaining, 1);
  });

  it('never hold more keys than they may, and keep those in use', () => {
    const buckets = new TokenBuckets({ burst: 2, tokens: 1, intervalMs: 1e9 }, 100);
    buckets.take('kept', 0);
    for (let i = 0; i < 10_000; i++) {
      buckets.take(`k${i}`, 0);
      if (i % 40 === 0 && buckets.level('kept', 0).remaining > 0) buckets.take('kept', 0);
      else if (i % 40 === 0) assert.equal(buckets.level('kept', 0).remaining, 0);
      assert.ok(buckets.size <= 101);
    }
  });

  it('lock nobody out when the clock is put back', () => {
    const buckets = new TokenBuckets(perSecond);
    for (let i = 0; i < 3; i++) buckets.take('a', 3_600_000);
    assert.equal(buckets.level('a', 0).remaining, 0);
    assert.equal(buckets.level('a', 500).remaining, 1);
    assert.equal(buckets.level('a', 1500).remaining, 3);
  });

  it('agree with a bucket that counts', () => {
    const step = fc.record({ waitMs: fc.integer({ min: 0, max: 700 }), wants: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, burst, tokens) => {
          const buckets = new TokenBuckets({ burst, tokens, intervalMs: 1000 });
          // The oracle counts in thousandths of a token.
          let held = burst * 1000;
          let nowMs = 0;
          for (const { waitMs, wants } of steps) {
            nowMs += waitMs;
            held = Math.min(burst * 1000, held + waitMs * tokens);
            assert.equal(buckets.level('', nowMs).remaining, Math.floor(held / 1000));
            if (!wants || held < 1000) continue;
            held -= 1000;
            buckets.take('', nowMs);
          }
        },
      ),
      { seed: 11, numRuns: 200 },
    );
  });
});
