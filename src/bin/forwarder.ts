/** Entry point of the forwarder: what of a local mesh is in the host's network: the way in to its API and published ports, and the way out. */
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { startForwarder, startHostPorts, statePaths } from '../local/mesh/index.ts';

const { values } = parseArgs({ options: { state: { type: 'string' }, port: { type: 'string' } } });
const log = openLog({ scope: 'forwarder' });
if (values.state === undefined || values.port === undefined) {
  process.stderr.write('ambit forwarder: --state DIR and --port N are needed\n');
  process.exit(2);
}
try {
  await startForwarder({
    listen: { host: '127.0.0.1', port: Number(values.port) },
    target: { path: statePaths(values.state).apiserverSocket },
    log,
  });
  await startHostPorts(statePaths(values.state), log);
} catch (error) {
  log.error('Cannot listen', { port: values.port, error: messageOf(error) });
  process.exit(1);
}
