/** `ambit ztunnel`: the L4 proxy of one node. Configured by its environment. */
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { packageVersion } from '../lib/program.ts';
import { parseZtunnelConfig, startZtunnel } from '../ztunnel/index.ts';

const log = openLog({ scope: 'ztunnel', level: 'debug' });

process.on('uncaughtException', (error) => {
  log.error('Cannot go on: an unexpected failure', { error: messageOf(error), stack: error.stack });
  process.exit(1);
});

try {
  const config = parseZtunnelConfig(process.env);
  const ztunnel = await startZtunnel({
    config,
    log,
    writeAccessLog: (text, done) => void process.stdout.write(text, () => done()),
    version: packageVersion(),
  });
  let draining = false;
  const end = async (): Promise<void> => {
    // Whoever asks twice does not want to wait.
    if (draining) process.exit(1);
    draining = true;
    await ztunnel.drain();
    log.info('ztunnel stopped');
    process.exit(0);
  };
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
  void ztunnel.quitRequested.then(end);
} catch (error) {
  log.error('Cannot run ztunnel', { error: messageOf(error) });
  process.exit(1);
}
