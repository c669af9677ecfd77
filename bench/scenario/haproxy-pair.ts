/** The reference: two haproxy processes with a mutual TLS connection per flow, sessions resumed, one thread each, no log. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpiffeId } from '../../src/api/names.ts';
import { startChild } from '../lib/child.ts';
import { untilListening } from '../lib/listening.ts';
import {
  clientIdentity,
  inboundCore,
  outboundCore,
  serverIdentity,
  type PairOptions,
  type ProxyPair,
} from '../lib/pair.ts';
import { writeBundle } from '../lib/pki.ts';

const outboundPort = 22001;
const inboundPort = 22002;

export async function startHaproxyPair({ dir, echoPort }: PairOptions): Promise<ProxyPair> {
  const clientPem = await writeBundle(dir, 'haproxy-client', clientIdentity as SpiffeId);
  const serverPem = await writeBundle(dir, 'haproxy-server', serverIdentity as SpiffeId);
  const root = join(dir, 'root-cert.pem');
  const start = (name: string, core: number, listen: string): ReturnType<typeof startChild> => {
    const path = join(dir, `${name}.cfg`);
    writeFileSync(path, `${common}${listen}`);
    return startChild({ command: 'haproxy', args: ['-db', '-f', path], core });
  };
  const server = start(
    'haproxy-inbound',
    inboundCore,
    `listen inbound
  bind 127.0.0.1:${inboundPort} ssl crt ${serverPem} ca-file ${root} verify required ssl-min-ver TLSv1.3
  server echo 127.0.0.1:${echoPort}
`,
  );
  const client = start(
    'haproxy-outbound',
    outboundCore,
    `listen outbound
  bind 127.0.0.1:${outboundPort}
  server inbound 127.0.0.1:${inboundPort} ssl crt ${clientPem} ca-file ${root} verify required ssl-min-ver TLSv1.3
`,
  );
  await Promise.race([
    Promise.all([untilListening(inboundPort), untilListening(outboundPort)]),
    ...[server, client].map((child) => child.waitFor('never')),
  ]);
  return {
    name: 'haproxy',
    port: outboundPort,
    pids: [client.pid, server.pid],
    async stop() {
      await Promise.all([client.stop(), server.stop()]);
    },
  };
}

const common = `global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
`;
