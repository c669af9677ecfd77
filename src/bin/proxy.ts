/** `ambit proxy waypoint|router`: the L7 proxy of a Gateway. Configured by its environment; what it serves comes from discovery. */
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { packageVersion } from '../lib/program.ts';
import { parseProxyConfig, startProxy } from '../proxy/index.ts';

const log = openLog({ scope: 'proxy', level: 'debug' });

process.on('uncaughtException', (error) => {
  log.error('Cannot go on: an unexpected failure', { error: messageOf(error), stack: error.stack });
  process.exit(1);
});

try {
  // Other arguments are those of istio-proxy's pods; what they say is in the environment too.
  const [role = 'waypoint', ...others] = process.argv.slice(2);
  const proxy = await startProxy({
    config: parseProxyConfig(role, process.env, { concurrency: flag(others, 'concurrency') }),
    log,
    writeAccessLog: (text, done) => void process.stdout.write(text, () => done()),
    writeError: (text, done) => void process.stderr.write(text, () => done()),
    environment: process.env,
    version: packageVersion(),
  });
  let draining = false;
  const end = async (): Promise<void> => {
    // Whoever asks twice does not want to wait.
    if (draining) process.exit(1);
    draining = true;
    await proxy.drain();
    log.info('proxy stopped');
    process.exit(0);
  };
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
  void proxy.quitRequested.then(end);
} catch (error) {
  log.error('Cannot run the proxy', { error: messageOf(error) });
  process.exit(1);
}

/** `--name VALUE` or `--name=VALUE`. */
function flag(given: readonly string[], name: string): string | undefined {
  const at = given.findIndex((one) => one === `--${name}` || one.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const [, value = given[at + 1] ?? ''] = given[at]?.split('=') ?? [];
  return value;
}
