/** Two ztunnel data parts, each a process of its own, with policy, metrics and access log on. */
import { join } from 'node:path';
import { startChild } from '../lib/child.ts';
import { inboundCore, outboundCore, type PairOptions, type ProxyPair } from '../lib/pair.ts';

export const outboundPort = 21001;

export async function startZtunnelPair({ dir, echoPort }: PairOptions): Promise<ProxyPair> {
  const start = (role: 'client' | 'server', core: number): ReturnType<typeof startChild> =>
    startChild({
      command: process.execPath,
      args: [
        '--expose-gc',
        join(import.meta.dirname, 'ztunnel-node.ts'),
        role,
        dir,
        String(echoPort),
        String(outboundPort),
      ],
      core,
      outputFile: join(dir, `ztunnel-${role}.access.log`),
    });
  const server = start('server', inboundCore);
  await server.waitFor('ready');
  const client = start('client', outboundCore);
  await client.waitFor('ready');
  return {
    name: 'ambit',
    port: outboundPort,
    pids: [client.pid, server.pid],
    async stop() {
      await Promise.all([client.stop(), server.stop()]);
    },
  };
}
