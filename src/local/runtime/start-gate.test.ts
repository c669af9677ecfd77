import { deepEqual, equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { StartGate } from './start-gate.ts';

test('no more than the limit run at a time, in their order, failures included', async () => {
  const gate = new StartGate(2);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const work = (i: number) => async (): Promise<void> => {
    most = Math.max(most, ++running);
    order.push(i);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (i === 1) throw new Error('one fails');
  };
  const all = [0, 1, 2, 3, 4, 5].map((i) => gate.run(work(i)));
  await rejects(all[1] as Promise<void>, /one fails/);
  await Promise.all(all.filter((_, i) => i !== 1));
  equal(most, 2);
  deepEqual(order, [0, 1, 2, 3, 4, 5]);
});
