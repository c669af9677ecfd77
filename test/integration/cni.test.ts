import { equal } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

// The agent writes rules into the network namespace that it runs in, so the scenarios get one of their own.
test('the node agent enrols pods and lets them go (scenarios of cni-inside.ts)', { timeout: 90_000 }, async () => {
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve) => {
    const child = execFile(
      'unshare',
      [
        '--net',
        '--kill-child',
        process.execPath,
        '--test',
        '--test-isolation=none',
        join(import.meta.dirname, 'cni-inside.ts'),
      ],
      { timeout: 80_000, killSignal: 'SIGKILL' },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr }),
    );
  });
  equal(code, 0, output);
});
