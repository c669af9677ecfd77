import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { createDebounce } from './debounce.ts';

describe('debounce', () => {
  it('acts once after a burst', () => {
    const clock = createFakeClock(0);
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
    const clock = createFakeClock(0);
    const at: number[] = [];
    const debounce = createDebounce({ quietMs: 25, maxMs: 250, clock, run: () => at.push(clock.nowMs()) });
    for (let i = 0; i < 60; i++) {
      debounce.poke();
      clock.advance(10);
    }
    assert.deepEqual(at, [250, 500]);
  });
});
