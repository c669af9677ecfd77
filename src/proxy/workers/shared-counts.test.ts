import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backendOf, SharedCounts } from './shared-counts.ts';

test('each worker adds to a row of its own, and the row of one that died counts no more', () => {
  const memory = SharedCounts.allocate(3, 2);
  const [first, second, third] = [0, 1, 2].map((worker) => new SharedCounts(memory, { worker, width: 2 }));
  first?.add(0, 5);
  second?.add(0, 2);
  third?.add(1, 7);
  second?.add(1, -1);
  assert.equal(first?.total(0), 7);
  assert.equal(first?.elsewhere(0), 2);
  assert.equal(third?.elsewhere(0), 7);
  assert.equal(third?.total(1), 6);
  SharedCounts.clear(memory, { worker: 1, width: 2 });
  assert.equal(third?.elsewhere(0), 5);
  assert.equal(third?.total(1), 7);
});

test('a resource of the configuration is a backend by its name', () => {
  assert.equal(backendOf('backend/outbound|80||web'), 'outbound|80||web');
  assert.equal(backendOf('routes/backend/x'), undefined);
});
