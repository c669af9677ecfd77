/** Publishes the API server on the host's loopback: the one thing of a mesh that lives in the host's network namespace. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../lib/log.ts';

export interface ForwarderOptions {
  /** Port on 127.0.0.1; 0 picks one. */
  readonly port: number;
  /** Unix socket that connections are handed to. */
  readonly socketPath: string;
  readonly log: Log;
}

/** Bytes pass as they are (TLS ends at the API server). Half-closes pass too. Resolves once it listens. */
export function startForwarder(options: ForwarderOptions): Promise<Server> {
  const { port, socketPath, log } = options;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ path: socketPath, allowHalfOpen: true });
    join(client, upstream);
    join(upstream, client);
    upstream.on('error', (error) => log.debug('Cannot reach the API server', { error: error.message }));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
  });
}
