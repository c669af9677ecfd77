/** `ambit node-agent`: takes the pods of one node into the mesh. Configured by its environment. */
import { messageOf } from '../lib/errors.ts';
import { openLog, type LogLevel } from '../lib/log.ts';
import { parseNodeAgentConfig, startNodeAgent } from '../cni/index.ts';
import { accessFromEnvironment, openKubeClient } from '../kube/index.ts';
import { releaseMemory } from '../net/index.ts';

const { env } = process;
const log = openLog({ scope: 'node-agent', level: (env['LOG_LEVEL'] ?? 'info') as LogLevel });

try {
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
