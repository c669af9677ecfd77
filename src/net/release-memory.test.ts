import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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

test('code that is not in use is not resident', () => {
  const residentKb = (): number =>
    Number(/^RssFile:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
  const before = residentKb();
  releaseMemory();
  assert.ok(residentKb() < before, `${residentKb()} of ${before} KB are left`);
  // And it comes back.
  assert.equal(JSON.stringify([1.5, 'a'].map(String)), '["1.5","a"]');
});
