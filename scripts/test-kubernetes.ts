/**
 * `npm run test:kubernetes`: the integration tests of the mesh once more, on Kubernetes' own server, and what is special
 * there; then what needs its kubectl, or asks it how the embedded server should answer.
 */
import { buildKubernetesServer } from './kubernetes-server.ts';
import { ensureHelm } from './helm.ts';
import { runSteps, testCommand } from './run.ts';

const only = process.argv.slice(2);
const withServer = [
  'apiserver-crd',
  'apiserver-differential',
  'apiserver-kubectl',
  'kube-reflector',
  'schema-agreement',
  'streaming',
].map((name) => `test/integration/${name}.test.ts`);
const files = only.length > 0 ? only : ['test/kubernetes/*.test.ts', 'test/integration/mesh-*.test.ts', ...withServer];

const server = await buildKubernetesServer();
if (server.kind === 'skipped') {
  console.log(`skip  tests on Kubernetes' own server: ${server.reason}`);
} else {
  process.env['AMBIT_TEST_KUBERNETES'] = server.path;
  ensureHelm();
  const passed = await runSteps([
    { name: 'setup', command: ['sh', 'scripts/setup.sh', '--dev', '--system'], timeoutSeconds: 300 },
    {
      name: "integration tests on Kubernetes' own server",
      command: testCommand(files, 'process'),
      timeoutSeconds: 2400,
      live: true,
    },
  ]);
  process.exitCode = passed ? 0 : 1;
}
