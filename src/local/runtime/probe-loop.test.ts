import { deepEqual, equal, ok } from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Probe } from '../../api/index.ts';
import { runProbeLoop } from './probe-loop.ts';

/** Runs a loop over `outcomes`, one each look, on a clock moved by hand; gives what it said and when, in seconds. */
async function play(probe: Probe, outcomes: readonly boolean[], eager = false): Promise<string[]> {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const said: string[] = [];
    const stop = new AbortController();
    const at = (): string => (Date.now() / 1000).toFixed(1);
    let look = 0;
    const loop = runProbeLoop({
      probe,
      eager,
      signal: stop.signal,
      check: async () => {
        const ok = outcomes[look++] ?? outcomes.at(-1) ?? true;
        if (look >= outcomes.length) stop.abort();
        // The last outcome is seen by the loop before it notices the end.
        return { ok, message: 'no' };
      },
      onFailure: () => void said.push(`failure ${at()}`),
      onVerdict: (ok) => void said.push(`${ok} ${at()}`),
    });
    for (let i = 0; i < 2000 && !stop.signal.aborted; i++) {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      if (!stop.signal.aborted) mock.timers.tick(50);
    }
    await loop;
    return said;
  } finally {
    mock.timers.reset();
  }
}

test('a verdict needs its threshold, and a success takes failures back', async () => {
  const probe = { periodSeconds: 1, failureThreshold: 2, successThreshold: 1 };
  deepEqual(await play(probe, [true, false, true, false, false, false, true, true]), [
    'true 0.0',
    'failure 1.0',
    'failure 3.0',
    'failure 4.0',
    'false 4.0',
    'failure 5.0',
    'true 6.0',
  ]);
});

test('the first look waits for the initial delay', async () => {
  deepEqual(await play({ initialDelaySeconds: 3, periodSeconds: 1 }, [true, true]), ['true 3.0']);
});

test('an eager loop looks often until the first success, and what fails counts once a period', async () => {
  const early = await play(
    { periodSeconds: 10, failureThreshold: 3 },
    [false, false, false, false, false, false, true, true],
    true,
  );
  equal(early.length, 1);
  ok(Number(early[0]?.split(' ')[1]) < 2);
  const never = await play(
    { periodSeconds: 1, failureThreshold: 2 },
    Array.from({ length: 9 }, () => false),
    true,
  );
  deepEqual(never.map((each) => each.split(' ')[0]).slice(0, 3), ['failure', 'failure', 'false']);
});
