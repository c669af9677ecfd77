import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createJsonLines } from './json-lines.ts';

describe('JSON lines', () => {
  it('gives the same values however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.array(fc.nat(40), { maxLength: 30 }),
        (values, cuts) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
          const lines = createJsonLines();
          const got: unknown[] = [];
          let start = 0;
          for (const cut of [...cuts, bytes.length]) {
            const lent = Buffer.from(bytes.subarray(start, start + cut));
            got.push(...lines.push(lent));
            lent.fill(0x7b);
            start += cut;
            if (start >= bytes.length) break;
          }
          assert.deepEqual(got, JSON.parse(JSON.stringify(values)));
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  it('refuses a line that never ends', () => {
    const lines = createJsonLines(10);
    lines.push(Buffer.from('[1,2,3'));
    assert.throws(() => lines.push(Buffer.from(',4,5,6,7')), { code: 'kube.line-too-long' });
    assert.throws(() => createJsonLines(10).push(Buffer.from('[1,2,3,4,5,6]\n')), { code: 'kube.line-too-long' });
  });

  it('tells an end between two lines from one inside a line', () => {
    const lines = createJsonLines();
    lines.push(Buffer.from('1\n{"whole":true}'));
    assert.throws(() => lines.end(), { code: 'kube.cut-line' });
    lines.push(Buffer.from('\n'));
    lines.end();
  });

  it('refuses what is no JSON', () => {
    assert.throws(() => createJsonLines().push(Buffer.from('{]\n')), { code: 'kube.bad-stream' });
  });
});
