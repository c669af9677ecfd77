import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

describe('a work queue', () => {
  it('runs a key alone, and again when it was added meanwhile', async () => {
    const release: (() => void)[] = [];
    const runs: string[] = [];
    const stop = new AbortController();
    const queue = createWorkQueue({
      name: 't',
      signal: stop.signal,
      log: silentLog(),
      concurrency: 2,
      reconcile: (key) => {
        runs.push(key);
        return new Promise((resolve) => release.push(resolve));
      },
    });
    for (const key of ['a', 'a', 'b', 'c']) queue.add(key);
    assert.deepEqual(runs, ['a', 'b']);
    queue.add('a');
    queue.add('a');
    assert.deepEqual(runs, ['a', 'b']);
    release.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(runs, ['a', 'b', 'a']);
    for (const one of release.splice(0)) one();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(runs, ['a', 'b', 'a', 'c']);
    for (const one of release.splice(0)) one();
  });

  it('comes back to what failed, later each time', async () => {
    const timers: { delayMs: number; run: () => void }[] = [];
    let failures = 2;
    let done = false;
    const queue = createWorkQueue({
      name: 't',
      signal: new AbortController().signal,
      log: silentLog(),
      clock: {
        nowMs: () => 0,
        after(delayMs, run) {
          timers.push({ delayMs, run });
          return () => {};
        },
      },
      reconcile: () => {
        if (failures-- > 0) return Promise.reject(new Error('no'));
        done = true;
        return Promise.resolve();
      },
    });
    queue.add('a');
    await new Promise((resolve) => setImmediate(resolve));
    timers[0]?.run();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(timers[0] && timers[1] && timers[1].delayMs > timers[0].delayMs);
    timers[1].run();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(done);
    assert.equal(timers.length, 2);
  });
});
