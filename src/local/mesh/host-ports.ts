/** What `--publish` and `--egress` have on the host's side. */
import { rmSync } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { startEgressRelay } from './egress-relay.ts';
import { startForwarder } from './forwarder.ts';
import { parsePublishedPort, publishedSocket } from './published-ports.ts';
import { readMeshRecord, type StatePaths } from './state-dir.ts';

/** Listens on the published ports of the host's loopback, and relays for the mesh. A port that is taken is told and left out. */
export async function startHostPorts(paths: StatePaths, log: Log): Promise<void> {
  const { publish = [], egress } = readMeshRecord(paths) ?? {};
  for (const published of publish.map(parsePublishedPort)) {
    const listen = { host: '127.0.0.1', port: published.hostPort };
    try {
      await startForwarder({ listen, target: { path: publishedSocket(paths, published) }, log });
    } catch (error) {
      log.error('Cannot publish a port', { port: published.hostPort, error: messageOf(error) });
    }
  }
  if (!egress) return;
  rmSync(paths.egressSocket, { force: true });
  await startEgressRelay({ path: paths.egressSocket, resolvers: egress.resolvers, log: log.child('egress') });
}
