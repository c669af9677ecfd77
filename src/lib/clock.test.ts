import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { afterTime, sleep, systemClock } from './clock.ts';
import { createFakeClock } from './fake-clock.ts';

describe('system clock', () => {
  it('runs after delays that setTimeout cannot hold', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const longestStepMs = 2 ** 31 - 1;
      const run = mock.fn();
      systemClock.after(2 * longestStepMs + 10, run);
      mock.timers.tick(longestStepMs);
      mock.timers.tick(longestStepMs);
      mock.timers.tick(9);
      assert.equal(run.mock.callCount(), 0);
      mock.timers.tick(1);
      assert.equal(run.mock.callCount(), 1);
    } finally {
      mock.timers.reset();
    }
  });

  it('cancels, also in a later step of a long delay', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const run = mock.fn();
      const cancelShort = systemClock.after(10, run);
      const cancelLong = systemClock.after(2 ** 32, run);
      cancelShort();
      mock.timers.tick(2 ** 31);
      cancelLong();
      mock.timers.tick(2 ** 32);
      assert.equal(run.mock.callCount(), 0);
    } finally {
      mock.timers.reset();
    }
  });
});

describe('a time of day', () => {
  const asleepFor = (sleptMs: () => number) => {
    const clock = createFakeClock(0);
    return { ...clock, nowMs: () => clock.nowMs() + sleptMs() };
  };

  it('is waited for once, to the millisecond', () => {
    const clock = createFakeClock(1000);
    const run = mock.fn();
    afterTime(clock, 5_000_000, run);
    clock.advance(4_998_999);
    assert.equal(run.mock.callCount(), 0);
    clock.advance(1);
    assert.equal(run.mock.callCount(), 1);
    assert.equal(clock.pending, 0);
  });

  it('is noticed within a minute when it passed while the machine slept', () => {
    let sleptMs = 0;
    const clock = asleepFor(() => sleptMs);
    const run = mock.fn();
    afterTime(clock, 12 * 3600_000, run);
    clock.advance(3600_000);
    sleptMs = 14 * 3600_000;
    clock.advance(59_000);
    clock.advance(1000);
    assert.equal(run.mock.callCount(), 1);
  });

  it('comes no more once it was cancelled', () => {
    const clock = createFakeClock(0);
    const run = mock.fn();
    const cancel = afterTime(clock, 200_000, run);
    clock.advance(100_000);
    cancel();
    clock.advance(200_000);
    assert.equal(run.mock.callCount(), 0);
    assert.equal(clock.pending, 0);
  });

  it('is cancelled however long it was waited for', () => {
    const clock = createFakeClock(0);
    const cancel = afterTime(clock, Infinity, () => {});
    for (let minute = 0; minute < 60 * 24 * 60; minute++) clock.advance(60_000);
    cancel();
    assert.equal(clock.pending, 0);
  });
});

describe('sleep', () => {
  it('ends at once when its signal has aborted, or aborts', async () => {
    await sleep(1_000_000, AbortSignal.abort());
    const stop = new AbortController();
    const sleeping = sleep(1_000_000, stop.signal);
    stop.abort();
    await sleeping;
  });

  it('ends by itself', () => sleep(0, new AbortController().signal));
});

describe('fake clock', () => {
  it('runs what falls due in order, at its time, and what that schedules', () => {
    const clock = createFakeClock(1000);
    const seen: string[] = [];
    const note = (name: string) => (): void => void seen.push(`${name} at ${clock.nowMs()}`);
    clock.after(30, note('late'));
    clock.after(10, () => {
      note('early')();
      clock.after(5, note('nested'));
    });
    const cancel = clock.after(20, note('cancelled'));
    cancel();
    clock.advance(29);
    assert.deepEqual(seen, ['early at 1010', 'nested at 1015']);
    assert.equal(clock.pending, 1);
    clock.advance(1);
    assert.deepEqual(seen.at(-1), 'late at 1030');
    assert.equal(clock.pending, 0);
  });
});
