/** The embedded API server without its controllers: nothing changes but by requests. Arguments as of `src/bin/apiserver.ts`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openLog } from '../../../src/lib/log.ts';
import { startApiServer } from '../../../src/local/apiserver/index.ts';

const { values } = parseArgs({
  options: { state: { type: 'string' }, listen: { type: 'string' }, 'request-timeout': { type: 'string' } },
});
const { state: stateDir = '', listen = '' } = values;
const server = await startApiServer({
  stateDir,
  listen: { host: '127.0.0.1', port: Number(listen.split(':')[1]) },
  tokensFile: join(stateDir, 'pki', 'tokens.json'),
  nodeSocket: (node) => join(stateDir, 'run', `${node}.sock`),
  log: openLog({ scope: 'apiserver' }),
  ...(values['request-timeout'] !== undefined && { requestTimeoutMs: Number(values['request-timeout']) }),
});
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
