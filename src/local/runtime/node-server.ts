/** The node's unix socket: its pods, their logs, and streams into them. Only the owner of the state folder reaches it. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { warmThreadPool } from '../../net/index.ts';
import { PodUsage } from './pod-usage.ts';
import type { PodWorker } from './pod-worker.ts';
import { createNodeHandler } from './streaming/node-handler.ts';

export type { NodePodReport } from './streaming/pod-report.ts';

export interface NodeServerOptions {
  readonly socketPath: string;
  readonly workers: () => readonly PodWorker[];
  readonly find: (namespace: string, name: string) => PodWorker | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

const maxClients = 2048;

export interface RunningNodeServer {
  /** Serves a connection that came another way, and whose caller may do everything here. */
  accept(connection: Duplex): void;
  close(): Promise<void>;
}

/** Listens; a socket file that a killed runtime left is replaced. */
export async function startNodeServer(options: NodeServerOptions): Promise<RunningNodeServer> {
  await warmThreadPool();
  const handler = createNodeHandler({ ...options, usage: new PodUsage() });
  const server = createServer((request, response) => handler.handle(request, response));
  server.maxConnections = maxClients;
  server.on('upgrade', (request, socket, head) => handler.upgrade(request, socket, head));
  rmSync(options.socketPath, { force: true });
  await listenPrivately(server, options.socketPath);
  return {
    accept: (connection) => void server.emit('connection', connection),
    async close() {
      handler.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listenPrivately(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      chmodSync(socketPath, 0o600);
      resolve();
    });
  });
}
