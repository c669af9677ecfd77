import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

for (const program of ['control', 'node-agent']) {
  test(`${program} refuses a level that there is not, and names those that there are`, async () => {
    const env = { LOG_LEVEL: 'loud' };
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, [join(import.meta.dirname, `${program}.ts`)], { env }, (error, _, said) =>
        resolve({ code: error?.code, stderr: said }),
      );
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /LOG_LEVEL is \\"loud\\"[^]*debug, info, warn, error or silent/);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  });
}
