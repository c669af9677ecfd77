/** Runs a file of tests in a network namespace of its own: as root there, whoever the caller is. */
import assert from 'node:assert/strict';
import { run } from './run.ts';

/** Fails with everything that the tests printed, or when they take longer. An ordinary user gets a user namespace around it. */
export async function runInNetworkNamespace(file: string, timeoutMs = 170_000): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const tests = [process.execPath, '--test', '--test-isolation=none', file];
  const command = [
    'unshare',
    ...asRoot,
    '--net',
    '--kill-child',
    'sh',
    '-c',
    'ip link set lo up && exec "$@"',
    'sh',
    ...tests,
  ];
  // A test runner inside a test runner would report to its parent and not by its exit code.
  const { code, stdout, stderr } = await run(command, { timeoutMs, env: { NODE_TEST_CONTEXT: '' } });
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /pass [1-9]/, 'tests ran');
}
