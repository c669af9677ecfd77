import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { createPushSlots } from './push-slots.ts';

test('who finds no slot is called when one is free, in the order of asking', () => {
  const slots = createPushSlots(1, createFakeClock());
  const called: string[] = [];
  const second = (): void => void called.push('second');
  const third = (): void => void called.push('third');
  const slot = slots.take(() => {});
  assert.equal(slots.take(second), undefined);
  assert.equal(slots.take(third), undefined);
  slot?.release();
  assert.deepEqual(called, ['second']);
  slots.take(second)?.release();
  assert.deepEqual(called, ['second', 'third']);
});

test('a slot is given back once, however often it is released', () => {
  const slots = createPushSlots(1, createFakeClock());
  const slot = slots.take(() => {});
  slot?.release();
  slot?.release();
  assert.ok(slots.take(() => {}));
  assert.equal(
    slots.take(() => {}),
    undefined,
  );
});

test('who does not answer loses the slot, so that others go on', () => {
  const clock = createFakeClock();
  const slots = createPushSlots(1, clock);
  const called: string[] = [];
  slots.take(() => {});
  slots.take(() => called.push('next'));
  clock.advance(10_000);
  assert.deepEqual(called, ['next']);
});

test('who has left is not called', () => {
  const slots = createPushSlots(1, createFakeClock());
  const slot = slots.take(() => {});
  const gone = (): void => assert.fail('called');
  slots.take(gone);
  slots.forget(gone);
  slot?.release();
});
