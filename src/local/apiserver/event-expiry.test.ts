import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../lib/clock.ts';
import { startEventExpiry } from './event-expiry.ts';
import { ObjectStore } from './store.ts';

test('events go an hour after they were last seen', async (t) => {
  let nowMs = Date.parse('2024-01-01T00:00:00Z');
  let sweep: (() => void) | undefined;
  const clock: Clock = {
    nowMs: () => nowMs,
    after: (_, run) => {
      sweep = run;
      return () => (sweep = undefined);
    },
  };
  const store = ObjectStore.open({ path: ':memory:' });
  t.after(() => store.close());
  const event = (name: string, lastTimestamp: string) => ({
    metadata: { name, namespace: 'n', creationTimestamp: '2024-01-01T00:00:00Z' },
    lastTimestamp,
  });
  await store.write((tx) => [
    tx.put('events', event('once', '2024-01-01T00:00:00Z')),
    tx.put('events', event('again', '2024-01-01T00:30:00Z')),
  ]);
  const stop = startEventExpiry(store, clock);
  nowMs += 61 * 60 * 1000;
  const removed = new Promise<void>((resolve) => store.watch('events', store.revision, () => resolve()));
  sweep?.();
  await removed;
  deepEqual(
    store.list('events').map((stored) => stored.object.metadata.name),
    ['again'],
  );
  stop();
  deepEqual(sweep, undefined);
});
