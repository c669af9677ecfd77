/** `ambit node-agent`: takes the pods of one node into the mesh. Configured by its environment. */
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { parseNodeAgentConfig, startNodeAgent } from '../cni/index.ts';
import { accessFromEnvironment, openKubeClient } from '../kube/index.ts';
import { releaseMemory } from '../net/index.ts';
import { logLevelNames, tryParseLogLevel } from '../telemetry/admin/log-levels.ts';

const { env } = process;
const level = tryParseLogLevel(env['LOG_LEVEL'] || 'info');
const log = openLog({ scope: 'node-agent', level: level ?? 'info' });

try {
  if (!level) throw new Error(`LOG_LEVEL is "${env['LOG_LEVEL']}", not ${logLevelNames}`);
  const config = parseNodeAgentConfig(env);
  const stop = new AbortController();
  const access = accessFromEnvironment(env);
  const client = openKubeClient(access, { log });
  const agent = await startNodeAgent({
    ...config,
    client,
    apiAccess: () => ({
      server: access.server,
      token: access.token?.() ?? '',
      ...(access.caPem === undefined ? {} : { caPem: access.readCertificates?.().caPem ?? access.caPem }),
    }),
    log,
    signal: stop.signal,
  });
  process.on('SIGTERM', () => stop.abort());
  process.on('SIGINT', () => stop.abort());
  releaseMemory();
  await agent.stopped;
  await client.close();
  log.info('node agent stopped');
  process.exit(0);
} catch (error) {
  log.error('Cannot run the node agent', { error: messageOf(error) });
  process.exit(1);
}
