/** `npm run check`: format, lint and layers, types, dead code, generated code in sync, unit tests. */
import { runSteps, testCommand } from './run.ts';

const sources = ['src', 'test', 'bench', 'samples', 'scripts', 'oxlint.config.ts'];

const passed = await runSteps([
  { name: 'format', command: ['oxfmt', '--check', ...sources], timeoutSeconds: 60 },
  { name: 'types', command: ['tsc', '-p', '.'], timeoutSeconds: 60 },
  { name: 'lint and layers', command: ['oxlint', '--type-aware', '--deny-warnings', ...sources], timeoutSeconds: 60 },
  { name: 'dead code', command: ['knip'], timeoutSeconds: 60 },
  { name: 'generated code', command: ['node', 'scripts/generate.ts', '--check'], timeoutSeconds: 60 },
  { name: 'unit tests', command: testCommand(['src/**/*.test.ts'], 'none'), timeoutSeconds: 120 },
]);
process.exitCode = passed ? 0 : 1;
