/**
 * A ztunnel configured by its environment, as `ambit ztunnel` is, but on free ports: prints one JSON line with them. Ends like it on
 * SIGTERM: no new connections, live ones until the deadline. The access log goes to standard error.
 */
import { openLog } from '../../../src/lib/log.ts';
import { parseZtunnelConfig, startZtunnel } from '../../../src/ztunnel/index.ts';

const ztunnel = await startZtunnel({
  config: { ...parseZtunnelConfig(process.env), ports: { admin: 0, metrics: 0, readiness: 0 } },
  log: openLog({ scope: `ztunnel ${process.pid}`, level: 'debug' }),
  writeAccessLog: (text, done) => void process.stderr.write(text, () => done()),
  version: 'test',
});
process.on('SIGTERM', () => void ztunnel.drain().then(() => process.exit(0)));
console.log(JSON.stringify(ztunnel.ports));
