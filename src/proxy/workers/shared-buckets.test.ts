import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import { TokenBuckets } from '../../policy/rate-limit.ts';
import { allocateBuckets, releaseBuckets, SharedBuckets } from './shared-buckets.ts';

const shape = { burst: 3, tokens: 1, intervalMs: 1000 };

describe('buckets of several workers', () => {
  test('are one: what the one takes the other has not', () => {
    const memory = allocateBuckets();
    const [one, other] = [
      new SharedBuckets(memory, 0).store('r', shape),
      new SharedBuckets(memory, 1).store('r', shape),
    ];
    assert.equal(one.take('a', 0)?.remaining, 2);
    assert.equal(other.take('a', 0)?.remaining, 1);
    assert.equal(one.level('a', 0).remaining, 1);
    assert.equal(other.take('a', 0)?.remaining, 0);
    assert.equal(one.take('a', 0), undefined);
    assert.equal(one.take('b', 0)?.remaining, 2);
    other.giveBack('a', 0);
    assert.equal(one.take('a', 0)?.remaining, 0);
  });

  test('of other rules and shapes are others', () => {
    const buckets = new SharedBuckets(allocateBuckets(), 0);
    const small = { ...shape, burst: 1 };
    assert.equal(buckets.store('r', small).take('a', 0)?.remaining, 0);
    assert.equal(buckets.store('r', small).take('a', 0), undefined);
    assert.equal(buckets.store('r', shape).take('a', 0)?.remaining, 2);
    assert.equal(buckets.store('s', small).take('a', 0)?.remaining, 0);
  });

  test('hold what those of one thread do, whatever is asked and when', () => {
    const shared = new SharedBuckets(allocateBuckets(), 0).store('r', shape);
    const plain = new TokenBuckets(shape);
    let seed = 7;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    // Also backwards: clocks are put back.
    for (let i = 0, nowMs = 1e6; i < 20_000; i++, nowMs += draw(400) - 20) {
      const key = `k${draw(5)}`;
      const level = plain.level(key, nowMs);
      assert.deepEqual(shared.level(key, nowMs), level);
      if (level.remaining > 0) assert.deepEqual(shared.take(key, nowMs), plain.take(key, nowMs));
      else assert.equal(shared.take(key, nowMs), undefined);
    }
  });

  test('that are used up are not forgotten for many that are hardly used', () => {
    const buckets = new SharedBuckets(allocateBuckets(), 0).store('r', shape);
    const heavy = Array.from({ length: 100 }, (_, i) => `heavy ${i}`);
    for (const key of heavy) for (let i = 0; i < 3; i++) buckets.take(key, 0);
    for (let i = 0; i < 200_000; i++) buckets.take(`light ${i}`, 0);
    assert.deepEqual(
      heavy.filter((key) => buckets.take(key, 0)),
      [],
    );
  });

  test('cannot be crowded out by keys that a client chose', () => {
    const buckets = new SharedBuckets(allocateBuckets(), 0);
    const rule = buckets.store('all', shape);
    // Of what a client knows.
    const setOf = (key: string): number => hash('sha256', key, 'buffer').readUInt32LE(8) % 16_384;
    const wanted = setOf('all\x003 1 1000\0');
    const chosen: string[] = [];
    for (let i = 0; chosen.length < 16; i++) if (setOf(`each\x003 1 60000\0${i}`) === wanted) chosen.push(String(i));
    for (let i = 0; i < 3; i++) rule.take('', 0);
    const each = buckets.store('each', { ...shape, intervalMs: 60_000 });
    for (const key of chosen) each.take(key, 0);
    assert.equal(rule.take('', 0), undefined);
  });

  test('are free again where their worker died while it changed them', () => {
    const memory = allocateBuckets();
    const locks = new Int32Array(memory, 0, 16_384);
    for (let set = 0; set < locks.length; set++) Atomics.store(locks, set, 2);
    releaseBuckets(memory, 0);
    assert.equal(Atomics.load(locks, 0), 2);
    releaseBuckets(memory, 1);
    assert.equal(new SharedBuckets(memory, 0).store('r', shape).take('a', 0)?.remaining, 2);
  });
});
