import assert from 'node:assert/strict';
import { it } from 'node:test';
import { durationMs } from './gateway-api-duration.ts';

it('a duration is the sum of its parts, and nothing else is one', () => {
  const cases: [string | undefined, number | undefined][] = [
    ['0s', 0],
    ['1h30m10s5ms', 5_410_005],
    ['500ms', 500],
    ['10s500ms', 10_500],
    ['1m1m', 120_000],
    ['99999h', 359_996_400_000],
    ['', undefined],
    ['1', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['100000s', undefined],
    ['1h1h1h1h1h', undefined],
    [undefined, undefined],
  ];
  for (const [text, expected] of cases) assert.equal(durationMs(text), expected, String(text));
});
