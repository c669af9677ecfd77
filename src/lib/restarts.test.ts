import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from './fake-clock.ts';
import { endedOrLate, Restarts } from './restarts.ts';

test('what dies soon is started later each time, and what lived long at once', () => {
  const clock = createFakeClock();
  const restarts = new Restarts(clock);
  /** Until it is started again. */
  const waited = (livedMs: number): number => {
    let isStarted = false;
    restarts.started();
    clock.advance(livedMs);
    equal(restarts.livedMs, livedMs);
    restarts.after(() => (isStarted = true));
    for (let ms = 1; ; ms++) {
      clock.advance(1);
      if (isStarted) return ms;
    }
  };
  const waits = [waited(10), waited(10), waited(10), waited(60_000)];
  ok(waits[1] !== undefined && waits[2] !== undefined && waits[1] > 120 && waits[2] > 240);
  ok(waits[3] !== undefined && waits[3] <= 121);
  restarts.after(() => ok(false, 'it was not to be started'));
  restarts.cancel();
  clock.advance(60_000);
});

test('an end is waited for until it is late', async () => {
  const clock = createFakeClock();
  const late: string[] = [];
  const wait = (ended: Promise<void>, name: string): Promise<void> =>
    endedOrLate(ended, { clock, deadlineMs: 100, onLate: () => late.push(name) });
  await wait(Promise.resolve(), 'ends');
  const hanging = wait(new Promise(() => {}), 'hangs');
  clock.advance(100);
  await hanging;
  deepEqual(late, ['hangs']);
});
