/** `ambit node-agent`: takes the pods of one node into the mesh. Configured by its environment. */
import { join } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { openLog, type LogLevel } from '../lib/log.ts';
import { startNodeAgent } from '../cni/index.ts';
import { accessFromEnvironment, openKubeClient } from '../kube/index.ts';

const { env } = process;
const log = openLog({ scope: 'node-agent', level: (env['LOG_LEVEL'] ?? 'info') as LogLevel });

try {
  const nodeName = env['NODE_NAME'];
  if (nodeName === undefined || nodeName === '') throw new Error('NODE_NAME is not set');
  const netnsFolder = env['NETNS_DIR'] ?? '/var/run/netns';
  const stop = new AbortController();
  const client = openKubeClient(accessFromEnvironment(env), { log });
  const agent = await startNodeAgent({
    nodeName,
    client,
    netnsFolder,
    netnsPath: (podUid) => join(netnsFolder, podUid),
    socketPath: env['ZTUNNEL_SOCKET'] ?? '/var/run/ztunnel/ztunnel.sock',
    readinessPort: Number(env['READINESS_PORT'] ?? 8000),
    metricsPort: Number(env['METRICS_PORT'] ?? 15_014),
    excludedNamespaces: (env['EXCLUDE_NAMESPACES'] ?? 'kube-system').split(',').filter((name) => name !== ''),
    ...(env['HOST_PROBE_SNAT_IP'] === undefined ? {} : { probeIp4: env['HOST_PROBE_SNAT_IP'] }),
    ...(env['HOST_PROBE_SNAT_IPV6'] === undefined ? {} : { probeIp6: env['HOST_PROBE_SNAT_IPV6'] }),
    log,
    signal: stop.signal,
  });
  process.on('SIGTERM', () => stop.abort());
  process.on('SIGINT', () => stop.abort());
  await agent.stopped;
  await client.close();
  log.info('node agent stopped');
  process.exit(0);
} catch (error) {
  log.error('Cannot run the node agent', { error: messageOf(error) });
  process.exit(1);
}
