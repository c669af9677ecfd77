/** `npm run test:istio`: Ambit's data plane and command line against Istio's own istiod, istioctl and tunnel, on Kubernetes' own server. */
import { buildGoBinary } from './go-binary.ts';
import { ensureHelm } from './helm.ts';
import { buildKubernetesServer } from './kubernetes-server.ts';
import { runSteps, testCommand } from './run.ts';

const only = process.argv.slice(2);
const files = only.length > 0 ? only : ['test/istio/*.test.ts'];

const peers = await buildGoBinary({
  sources: 'test/istio/peers',
  module: 'istio.io/istio',
  name: 'peers',
  takes: '5 to 12 minutes',
});
const server = peers.kind === 'built' ? await buildKubernetesServer() : peers;
if (peers.kind === 'skipped' || server.kind === 'skipped') {
  console.log(`skip  tests with Istio's own code: ${server.kind === 'skipped' ? server.reason : ''}`);
} else {
  process.env['AMBIT_TEST_ISTIO'] = peers.path;
  process.env['AMBIT_TEST_KUBERNETES'] = server.path;
  ensureHelm();
  const passed = await runSteps([
    { name: 'setup', command: ['sh', 'scripts/setup.sh', '--dev', '--system'], timeoutSeconds: 300 },
    { name: "tests with Istio's own code", command: testCommand(files, 'process'), timeoutSeconds: 1200, live: true },
  ]);
  process.exitCode = passed ? 0 : 1;
}
