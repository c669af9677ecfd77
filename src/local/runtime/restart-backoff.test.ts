import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { podBackoff, RestartBackoff, systemBackoff } from './restart-backoff.ts';

test('the first restart is at once, the next wait 10 s and ever longer, up to 5 minutes', () => {
  const backoff = new RestartBackoff(podBackoff);
  const delays = Array.from({ length: 8 }, () => backoff.next(1000) / 1000);
  deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
});

test('ten good minutes make it forget', () => {
  const backoff = new RestartBackoff(podBackoff);
  for (let i = 0; i < 5; i++) backoff.next(0);
  equal(backoff.next(600_000), 0);
  equal(backoff.next(0), 10_000);
});

test("the mesh's own pods come back within seconds", () => {
  const backoff = new RestartBackoff(systemBackoff);
  deepEqual(
    Array.from({ length: 7 }, () => backoff.next(0)),
    [0, 500, 1000, 2000, 4000, 8000, 10_000],
  );
});
