import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import type { WorkloadUid } from '../../api/names.ts';
import { SuspectEndpoints } from './suspect-endpoints.ts';

const uid = (n: number): WorkloadUid => `Kubernetes//Pod/shop/web-${n}` as WorkloadUid;
const none = new Set<WorkloadUid>();

test('an endpoint is suspect for a while, for the pod that failed to reach it', () => {
  const clock = createFakeClock();
  const suspects = new SuspectEndpoints(clock, 10_000);
  assert.equal(suspects.avoidance('a', none), undefined);
  suspects.failed('a', uid(1));
  assert.equal(suspects.avoidance('a', none)?.isSuspect(uid(1)), true);
  assert.equal(suspects.avoidance('a', none)?.isSuspect(uid(2)), false);
  assert.equal(suspects.avoidance('b', none)?.isSuspect(uid(1)), false);
  clock.advance(10_001);
  assert.equal(suspects.avoidance('a', none), undefined);
});

test('one that served again is none any more; one that failed again stays longer', () => {
  const clock = createFakeClock();
  const suspects = new SuspectEndpoints(clock, 10_000);
  suspects.failed('a', uid(1));
  suspects.failed('a', uid(2));
  suspects.worked('a', uid(2));
  clock.advance(6000);
  suspects.failed('a', uid(1));
  clock.advance(6000);
  const avoid = suspects.avoidance('a', none);
  assert.deepEqual([avoid?.isSuspect(uid(1)), avoid?.isSuspect(uid(2))], [true, false]);
});

test('the memory is bounded, oldest first', () => {
  const suspects = new SuspectEndpoints(createFakeClock(), 10_000);
  for (let i = 0; i < 5000; i++) suspects.failed('a', uid(i));
  const avoid = suspects.avoidance('a', none);
  assert.deepEqual([avoid?.isSuspect(uid(0)), avoid?.isSuspect(uid(4999))], [false, true]);
});
