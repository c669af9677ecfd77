/** `npm run test:cni`: the CNI plugin under libcni, the library by which containerd and CRI-O call plugins, which needs Go. */
import { buildGoBinary } from './go-binary.ts';
import { runSteps, testCommand } from './run.ts';

const runtime = await buildGoBinary({
  sources: 'test/cni/runtime',
  module: 'github.com/containernetworking/cni',
  name: 'runtime',
  takes: 'half a minute',
});
if (runtime.kind === 'skipped') console.log(`skip  the CNI plugin under libcni: ${runtime.reason}`);
else {
  process.env['AMBIT_TEST_CNI_RUNTIME'] = runtime.path;
  const passed = await runSteps([
    { name: 'setup', command: ['sh', 'scripts/setup.sh', '--dev', '--system'], timeoutSeconds: 300 },
    {
      name: 'the CNI plugin under libcni',
      command: testCommand(['test/cni/*.test.ts'], 'process'),
      timeoutSeconds: 300,
      live: true,
    },
  ]);
  process.exitCode = passed ? 0 : 1;
}
