import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../lib/clock.ts';
import { createDebounce } from './debounce.ts';

function handClock(): Clock & { advance(byMs: number): void } {
  let nowMs = 0;
  let timers: { atMs: number; run: () => void }[] = [];
  return {
    nowMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => (timers = timers.filter((one) => one !== timer));
    },
    advance(byMs) {
      nowMs += byMs;
      const due = timers.filter((one) => one.atMs <= nowMs);
      timers = timers.filter((one) => one.atMs > nowMs);
      for (const one of due) one.run();
    },
  };
}

describe('debounce', () => {
  it('acts once after a burst', () => {
    const clock = handClock();
    let runs = 0;
    const debounce = createDebounce({ quietMs: 25, maxMs: 250, clock, run: () => runs++ });
    for (let i = 0; i < 5; i++) {
      debounce.poke();
      clock.advance(20);
    }
    assert.equal(runs, 0);
    clock.advance(5);
    assert.equal(runs, 1);
    clock.advance(1000);
    assert.equal(runs, 1);
  });

  it('acts in time although changes never stop', () => {
    const clock = handClock();
    const at: number[] = [];
    const debounce = createDebounce({ quietMs: 25, maxMs: 250, clock, run: () => at.push(clock.nowMs()) });
    for (let i = 0; i < 60; i++) {
      debounce.poke();
      clock.advance(10);
    }
    assert.deepEqual(at, [250, 500]);
  });
});
