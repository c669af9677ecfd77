import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { testIdentity } from '../../../test/support/certificates.ts';
import { openOpensslRoot, workloadCertificateOf } from '../../../test/support/openssl-authority.ts';
import {
  connectTls,
  createRevocations,
  parseRevocationLists,
  type Revocations,
  type WorkloadCertificate,
} from '../../identity/index.ts';
import { listen } from '../../net/index.ts';
import { engineBench } from '../engine/engine-fixtures.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';
import { createWaypointServer } from './waypoint-server.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;

function contextOf(own: WorkloadCertificate, revocations: Revocations): ListenerContext {
  const { services, settings } = engineBench().place;
  return {
    services,
    identity: own.identity,
    certificate: () => Promise.resolve(own),
    revocations,
    config: () => ({ snapshot: { settings, listeners: new Map() } }) as never,
    ended: new AbortController().signal,
    live: new LiveConnections(),
  } as Partial<ListenerContext> as ListenerContext;
}

test('a waypoint lets nobody in with a revoked certificate, and cuts who is', { skip }, async () => {
  using root = openOpensslRoot('mesh');
  const [own, client, other] = ['shop/waypoint', 'front/client', 'front/other'].map((name) =>
    workloadCertificateOf(root, root, testIdentity(name)),
  ) as [WorkloadCertificate, WorkloadCertificate, WorkloadCertificate];
  const revocations = createRevocations({ onRevoked() {} });
  const server = createWaypointServer(contextOf(own, revocations), 'main');
  const served: Promise<void>[] = [];
  const sockets: TLSSocket[] = [];
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void served.push(server.serve(accepted)),
  });
  const dial = async (certificate: WorkloadCertificate): Promise<{ socket: TLSSocket; closed: Promise<unknown> }> => {
    const tcp = connect(listener.address.port, '127.0.0.1');
    tcp.on('error', () => {});
    const { socket } = await connectTls({ socket: tcp, certificate, expected: [own.identity] });
    socket.on('error', () => {});
    sockets.push(socket);
    return { socket, closed: once(socket, 'close') };
  };
  /** The settings of HTTP/2: the client is in. */
  const greeted = ({ socket }: { socket: TLSSocket }): Promise<unknown> => once(socket, 'data');
  try {
    const good = await dial(client);
    const stays = await dial(other);
    await Promise.all([greeted(good), greeted(stays)]);
    root.revoke(client.chainPem[0] ?? '');
    revocations.update(parseRevocationLists(root.crl()));
    await good.closed;
    const late = await dial(client);
    let greetings = 0;
    late.socket.on('data', () => greetings++);
    await late.closed;
    assert.equal(greetings, 0);
    assert.equal(stays.socket.destroyed, false);
  } finally {
    for (const socket of sockets) socket.destroy();
    await Promise.all(served);
    await listener.close();
  }
});
