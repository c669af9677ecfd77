import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flatnessProblems, type Sample } from './samples.ts';

function samples(change: (index: number) => Partial<Sample>): Sample[] {
  const flat = { seconds: 0, rssMb: 100, heldMb: 20, descriptors: 60, handles: 50 };
  return Array.from({ length: 40 }, (_, index) => ({ ...flat, ...change(index) }));
}

test('what stays as it is, or only moves about, is flat', () => {
  assert.deepEqual(flatnessProblems(samples(() => ({}))), []);
  assert.deepEqual(flatnessProblems(samples((i) => ({ heldMb: 20 + (i % 3), descriptors: 60 + (i % 20) }))), []);
  // Nor is a burst that a sample catches.
  assert.deepEqual(flatnessProblems(samples((i) => ({ heldMb: i % 4 === 3 ? 20 + i : 20 }))), []);
  // Warming up is no leak.
  assert.deepEqual(flatnessProblems(samples((i) => ({ heldMb: Math.min(20 + 2 * i, 40) }))), []);
});

test('what grows to the end is not flat', () => {
  assert.deepEqual(flatnessProblems(samples((i) => ({ heldMb: 20 + 0.5 * i }))), ['heldMb grew from 27.5 to 37.5']);
  assert.equal(flatnessProblems(samples((i) => ({ descriptors: 60 + 5 * i, handles: 50 + 5 * i }))).length, 2);
  assert.deepEqual(flatnessProblems([]), ['too short to tell']);
});
