/** Hands connections on: from the host's loopback to the API server's socket, and from that socket to a server that has none. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../lib/log.ts';

/** TCP (port 0 picks one), or a unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ForwarderOptions {
  readonly listen: Endpoint;
  /** A function is asked for each connection; undefined: there is nobody, and the client hears so. */
  readonly target: Endpoint | (() => Endpoint | undefined);
  readonly log: Log;
}

/** Bytes pass as they are (TLS ends at the API server). Half-closes pass too. Resolves once it listens. */
export function startForwarder(options: ForwarderOptions): Promise<Server> {
  const { listen, target, log } = options;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const to = typeof target === 'function' ? target() : target;
    if (!to) return refuse(client, 'path' in listen);
    const upstream = connect({ ...to, allowHalfOpen: true });
    join(client, upstream);
    join(upstream, client);
    upstream.on('error', (error) => log.debug('Cannot reach what is forwarded to', { error: error.message }));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...listen }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** A unix socket knows no reset: its client hears an end. */
function refuse(client: Socket, isUnix: boolean): void {
  client.on('error', () => {});
  if (isUnix) client.destroy();
  else client.resetAndDestroy();
}

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
  });
}
