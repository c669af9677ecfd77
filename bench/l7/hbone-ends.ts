/**
 * The ends of the way through a waypoint, for the benchmark: `hbone-ends.ts DIR LISTEN_PORT WAYPOINT_PORT HBONE_PORT ORIGIN_PORT`. What comes
 * plain to LISTEN_PORT goes by HBONE to the waypoint, as a client's ztunnel sends it; what comes by HBONE to HBONE_PORT goes plain to the origin.
 */
import { connect } from 'node:net';
import type { SpiffeId } from '../../src/api/names.ts';
import { createHbonePool, serveHbone, type PoolKey } from '../../src/hbone/index.ts';
import { acceptTls, connectTls } from '../../src/identity/index.ts';
import { dial, listen, pump, tcpChannel, tlsChannel } from '../../src/net/index.ts';
import { issueCertificate } from '../lib/pki.ts';

const [, , dir = '', listenPort, waypointPort, hbonePort, originPort] = process.argv;
const host = '127.0.0.1';
const waypoint = 'spiffe://cluster.local/ns/bench/sa/waypoint' as SpiffeId;
const client = await issueCertificate(dir, 'spiffe://cluster.local/ns/bench/sa/client' as SpiffeId);
const server = await issueCertificate(dir, 'spiffe://cluster.local/ns/bench/sa/server' as SpiffeId);

const pool = createHbonePool<PoolKey>({
  async dial(_, signal) {
    const socket = connect({ host, port: Number(waypointPort), noDelay: true });
    const peer = await connectTls({ socket, certificate: client, expected: [waypoint], signal });
    return tlsChannel(peer.socket);
  },
});
await listen({
  host,
  port: Number(listenPort),
  onConnection: ({ socket }) => {
    pool.connect({ id: 'waypoint' }, { authority: '10.96.0.1:80' }).then(
      (tunnel) => void pump(tcpChannel(socket), tunnel, { onEnd() {} }),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        socket.destroy();
      },
    );
  },
});
await listen({
  host,
  port: Number(hbonePort),
  onConnection: ({ socket }) => {
    acceptTls({ socket, certificate: server }).then(
      (peer) =>
        void serveHbone(tlsChannel(peer.socket), {
          onConnect: (request) => {
            dial({ host, port: Number(originPort), timeoutMs: 5000, signal: request.signal }).then(
              (application) => void pump(request.accept(), tcpChannel(application), { onEnd() {} }),
              () => request.refuse(503),
            );
          },
        }),
      (error: unknown) => process.stderr.write(`${String(error)}\n`),
    );
  },
});
process.stdout.write('listening\n');
