/** Entry point of the supervisor: process 2 of a local mesh's init. */
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { statePaths } from '../local/mesh/index.ts';
// By its own file: the command line has no use for all that it needs.
import { Supervisor } from '../local/mesh/supervisor.ts';

const { values } = parseArgs({ options: { state: { type: 'string' } } });
if (values.state === undefined) {
  process.stderr.write('ambit supervisor: --state DIR is needed\n');
  process.exit(2);
}
const log = openLog({ scope: 'supervisor' });
const compileCache = process.env['NODE_COMPILE_CACHE'];
const supervisor = new Supervisor({
  paths: statePaths(values.state),
  self: {
    node: process.execPath,
    binDir: import.meta.dirname,
    ...(compileCache === undefined ? {} : { compileCache }),
  },
  log,
});
try {
  await supervisor.start();
} catch (error) {
  log.error('The supervisor ends', { error: messageOf(error) });
  // A failure stays visible on the socket for whoever waits; init starts another supervisor once this one is killed.
}
