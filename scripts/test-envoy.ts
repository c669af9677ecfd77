/** `npm run test:envoy`: policy services and gRPC with Envoy's own messages on grpc-go at the other end, which needs Go. */
import { buildGoBinary } from './go-binary.ts';
import { runSteps, testCommand } from './run.ts';

const peer = await buildGoBinary({
  sources: 'test/envoy/peer',
  module: 'github.com/envoyproxy/go-control-plane/envoy',
  name: 'peer',
  takes: 'a minute',
});
if (peer.kind === 'skipped') console.log(`skip  policy services with Envoy's messages: ${peer.reason}`);
else {
  process.env['AMBIT_TEST_ENVOY_PEER'] = peer.path;
  const step = {
    name: "policy services with Envoy's messages",
    command: testCommand(['test/envoy/*.test.ts'], 'process'),
    timeoutSeconds: 300,
    live: true,
  };
  process.exitCode = (await runSteps([step])) ? 0 : 1;
}
