/** `ambit apiserver`: the embedded API server of a local mesh, and its controllers. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { kinds } from '../api/kinds.ts';
import { openKubeClient, type KubeClient } from '../kube/index.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { openLog } from '../lib/log.ts';
import { startApiServer } from '../local/apiserver/index.ts';
import { kernelHasIpv6 } from '../local/network/index.ts';
import { createUsageReader, startControllers, type NodeSummary } from '../local/controllers/index.ts';
import { askSocket } from '../local/mesh/node-socket.ts';

const usage = 'Usage: apiserver --state DIR [--listen HOST:PORT] [--token-file FILE]';
const log = openLog({ scope: 'apiserver' });

try {
  const { values } = parseArgs({
    options: {
      state: { type: 'string' },
      listen: { type: 'string', default: '172.30.0.1:6443' },
      'token-file': { type: 'string' },
    },
  });
  if (values.state === undefined) throw new Error(`--state is missing. ${usage}`);
  const stateDir = resolve(values.state);
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(values.listen) ?? [];
  if (host === '') throw new Error(`--listen ${values.listen} is not HOST:PORT. ${usage}`);

  const server = await startApiServer({
    stateDir,
    listen: { host, port: Number(port) },
    socketPath: join(stateDir, 'run', 'apiserver.sock'),
    tokensFile: values['token-file'] ?? join(stateDir, 'pki', 'tokens.json'),
    ...(kernelHasIpv6() ? {} : { serviceFamilies: ['IPv4'] }),
    nodeSocket: (node) => join(stateDir, 'run', `${node}.sock`),
    log,
  });

  const client = openKubeClient(
    {
      server: `https://${host === '0.0.0.0' ? '127.0.0.1' : host}:${server.port}`,
      caPem: server.caPem,
      tlsServerName: 'localhost',
      insecureSkipTlsVerify: false,
      token: () => server.controllersToken,
      namespace: 'default',
    },
    { log: log.child('kube') },
  );
  const stop = new AbortController();
  const shutDown = (): void => {
    if (stop.signal.aborted) return;
    stop.abort();
    log.info('Shutting down');
    void Promise.all([client.close(), server.close()]).then(() => process.exit(0));
  };
  process.on('SIGTERM', shutDown);
  process.on('SIGINT', shutDown);
  const readUsage = createUsageReader(() => readSummaries(client, join(stateDir, 'run')), systemClock);
  startControllers({ client, log, rootCaPem: server.caPem, signal: stop.signal, readUsage }).catch((error: unknown) => {
    if (!stop.signal.aborted) log.error('Controllers ended', { error: messageOf(error) });
  });
} catch (error) {
  log.error('Cannot start the API server', { error: messageOf(error) });
  process.exit(1);
}

/** Of the nodes that answer. */
async function readSummaries(client: KubeClient, sockets: string): Promise<NodeSummary[]> {
  const { items } = await client.list(kinds.Node);
  const answers = await Promise.allSettled(
    items.map(({ metadata }) => askSocket(join(sockets, `${metadata.name}.sock`), 'GET', '/stats/summary')),
  );
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value as NodeSummary] : []));
}
