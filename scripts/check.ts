/** `npm run check`: format, lint and layers, types, dead code, generated code in sync, unit tests. */
import { runLanes, testCommand, type Step } from './run.ts';

const sources = ['src', 'test', 'bench', 'samples', 'scripts', 'oxlint.config.ts'];

const unitTests = (shard: string): Step => ({
  name: `unit tests ${shard}`,
  command: testCommand(['src/**/*.test.ts'], 'none', shard),
  timeoutSeconds: 240,
});

// Two lanes for two cores: the tools take about as long as a third of the tests.
const passed = await runLanes([
  [unitTests('1/3'), unitTests('2/3')],
  [
    { name: 'format', command: ['oxfmt', '--check', ...sources], timeoutSeconds: 60 },
    { name: 'types', command: ['tsc', '-p', '.'], timeoutSeconds: 60 },
    { name: 'lint and layers', command: ['oxlint', '--type-aware', '--deny-warnings', ...sources], timeoutSeconds: 60 },
    { name: 'dead code', command: ['knip'], timeoutSeconds: 60 },
    { name: 'generated code', command: ['node', 'scripts/generate.ts', '--check'], timeoutSeconds: 60 },
    unitTests('3/3'),
  ],
]);
process.exitCode = passed ? 0 : 1;
