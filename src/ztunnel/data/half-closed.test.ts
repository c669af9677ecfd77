import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { HalfClosedConnections } from './half-closed.ts';

function connection(): { bytesReceived: number; bytesSent: number; cuts: string[]; cut(error: Error): void } {
  const cuts: string[] = [];
  return { bytesReceived: 0, bytesSent: 0, cuts, cut: (error) => void cuts.push(error.message) };
}

test('a half-closed connection is cut when the other side is silent for the timeout', () => {
  const clock = createFakeClock();
  const watch = new HalfClosedConnections(clock, 8000);
  const silent = connection();
  watch.add(silent);
  clock.advance(7999);
  assert.deepEqual(silent.cuts, []);
  clock.advance(1001);
  assert.deepEqual(silent.cuts, ['connection closed: one side ended, and the other was silent for 8 s']);
  assert.equal(clock.pending, 0, 'nothing waits for nobody');
});

test('one that still moves bytes goes on, also in the direction that is left', () => {
  const clock = createFakeClock();
  const watch = new HalfClosedConnections(clock, 8000);
  const moving = connection();
  watch.add(moving);
  for (let i = 0; i < 20; i++) {
    moving.bytesSent++;
    clock.advance(6000);
  }
  assert.deepEqual(moving.cuts, []);
  clock.advance(10_000);
  assert.equal(moving.cuts.length, 1);
});

test('one that closed is forgotten', () => {
  const clock = createFakeClock();
  const watch = new HalfClosedConnections(clock, 8000);
  const closed = connection();
  const seen = watch.add(closed);
  watch.remove(seen);
  watch.remove(seen);
  clock.advance(60_000);
  assert.deepEqual(closed.cuts, []);
  assert.equal(clock.pending, 0);
});
