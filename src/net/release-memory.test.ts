import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { releaseMemory } from './release-memory.ts';

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;

test('what is garbage is gone, and the young generation is small again', () => {
  let kept: object[] = [];
  for (let i = 0; i < 300_000; i++) kept.push({ i });
  const before = youngBytes();
  kept = [];
  releaseMemory();
  assert.ok(youngBytes() < before / 2, `${youngBytes()} of ${before} bytes are left`);
  // Nobody else gets what it uses.
  assert.equal('gc' in globalThis, false);
});
