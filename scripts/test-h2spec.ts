/** `npm run test:h2spec`: our HTTP/2 against the conformance tests of h2spec, which needs Go. */
import { buildGoBinary } from './go-binary.ts';
import { runSteps, testCommand } from './run.ts';

const h2spec = await buildGoBinary({
  sources: 'test/h2spec/peer',
  module: 'github.com/summerwind/h2spec',
  name: 'h2spec',
  takes: 'half a minute',
});
if (h2spec.kind === 'skipped') console.log(`skip  h2spec: ${h2spec.reason}`);
else {
  process.env['AMBIT_TEST_H2SPEC'] = h2spec.path;
  const step = {
    name: 'h2spec',
    command: testCommand(['test/h2spec/*.test.ts'], 'process'),
    timeoutSeconds: 300,
    live: true,
  };
  process.exitCode = (await runSteps([step])) ? 0 : 1;
}
