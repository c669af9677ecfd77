/** `npm test`: the check, then the integration tests, each file in a process of its own. */
import { runSteps, testCommand } from './run.ts';

const only = process.argv.slice(2);
const files = only.length > 0 ? only : ['test/integration/**/*.test.ts'];

const passed = await runSteps([
  { name: 'check', command: ['node', 'scripts/check.ts'], timeoutSeconds: 300, live: true },
  { name: 'integration tests', command: testCommand(files, 'process'), timeoutSeconds: 3900, live: true },
]);
process.exitCode = passed ? 0 : 1;
