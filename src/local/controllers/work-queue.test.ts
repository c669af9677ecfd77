import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

function open(
  reconcile: (key: string) => Promise<void>,
  concurrency = 2,
): { queue: WorkQueue; clock: FakeClock; stop: AbortController } {
  const clock = createFakeClock();
  const stop = new AbortController();
  return {
    queue: createWorkQueue({ reconcile, clock, concurrency, signal: stop.signal, log: silentLog() }),
    clock,
    stop,
  };
}

describe('the work queue', () => {
  it('works on a key once, however often it was added, and not before its start', async () => {
    const seen: string[] = [];
    const { queue } = open(async (key) => void seen.push(key));
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    assert.deepEqual(seen, []);
    queue.start();
    await queue.idle();
    assert.deepEqual(seen, ['a', 'b']);
  });

  it('never works on a key twice at the same time, and does not lose what came meanwhile', async () => {
    const gates: (() => void)[] = [];
    let running = 0;
    let passes = 0;
    const { queue } = open(async () => {
      passes++;
      assert.equal(++running, 1);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    });
    queue.start();
    queue.add('a');
    queue.add('a');
    queue.add('a');
    assert.equal(passes, 1);
    gates.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(passes, 2);
    gates.shift()?.();
    await queue.idle();
    assert.equal(passes, 2);
  });

  it('works on as many keys at a time as it may', async () => {
    let most = 0;
    let running = 0;
    const { queue } = open(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    }, 3);
    for (let i = 0; i < 10; i++) queue.add(String(i));
    queue.start();
    await queue.idle();
    assert.equal(most, 3);
  });

  it('tries again, later each time, until it works', async () => {
    let failures = 3;
    let passes = 0;
    const { queue, clock } = open(async () => {
      passes++;
      if (failures-- > 0) throw new Error('not yet');
    });
    queue.start();
    queue.add('a');
    await queue.idle();
    for (let expected = 2; expected <= 4; expected++) {
      clock.advance(5);
      await queue.idle();
      assert.equal(passes, expected - 1, 'too early');
      clock.advance(200);
      await queue.idle();
      assert.equal(passes, expected);
    }
    clock.advance(60_000);
    await queue.idle();
    assert.equal(passes, 4);
  });

  it('keeps the earlier of two times, and forgets all when it is stopped', async () => {
    let passes = 0;
    const { queue, clock, stop } = open(async () => void passes++);
    queue.start();
    queue.addAfter('a', 1000);
    queue.addAfter('a', 5000);
    queue.addAfter('a', 100);
    clock.advance(100);
    await queue.idle();
    assert.equal(passes, 1);
    queue.addAfter('a', 100);
    stop.abort();
    clock.advance(100);
    queue.add('a');
    await queue.idle();
    assert.equal(passes, 1);
  });
});
