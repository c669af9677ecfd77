import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../../test/support/certificates.ts';
import { serveHbone, type ConnectRequest } from '../../hbone/index.ts';
import { acceptTls, type WorkloadCertificate } from '../../identity/index.ts';
import { dial, listen, pump, tcpChannel, tlsChannel, type Listener } from '../../net/index.ts';
import {
  backendOf,
  endpoint,
  Heard,
  ownIdentity,
  requestHead,
  testUpstreams,
  upstreamRequest,
  web,
} from './upstream-fixtures.ts';
import type { UpstreamsOptions } from './upstreams.ts';

interface Peer {
  readonly port: number;
  readonly requests: { readonly authority: string; readonly from: string; readonly forwarded: string }[];
  connections: number;
  close(): Promise<void>;
}

/** A ztunnel, as far as the proxy sees one. */
async function hbonePeer(certificate: WorkloadCertificate, appPort: number): Promise<Peer> {
  const closes: (() => void)[] = [];
  const carry = async (request: ConnectRequest): Promise<void> => {
    const socket = await dial({ host: '127.0.0.1', port: appPort, timeoutMs: 5000 });
    pump(request.accept(), tcpChannel(socket), { onEnd() {} });
  };
  const listener: Listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection({ socket }) {
      // Whom we refused is not heard of again before its handshake times out.
      closes.push(() => socket.destroy());
      acceptTls({ socket, certificate }).then(
        (accepted) => {
          peer.connections++;
          const session = serveHbone(tlsChannel(accepted.socket), {
            onConnect(request) {
              const forwarded = request.headers.get('forwarded') ?? '';
              peer.requests.push({ authority: request.authority, from: accepted.identity, forwarded });
              void carry(request);
            },
          });
          closes.push(() => session.close());
        },
        () => socket.destroy(),
      );
    },
  });
  const peer: Peer = {
    port: listener.address.port,
    requests: [],
    connections: 0,
    async close() {
      for (const run of closes) run();
      await listener.close();
    },
  };
  return peer;
}

describe('requests by HBONE', () => {
  let authority: TestAuthority;
  let own: WorkloadCertificate;
  let server: Server;
  let appPort: number;
  before(async () => {
    authority = await createTestAuthority();
    own = await authority.certificate(ownIdentity);
    server = createServer((request, response) => response.end(`hello ${request.url}`));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    appPort = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const service = { ...web, ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http11' as const }] };
  const options = (peer: Peer): Partial<UpstreamsOptions> => ({
    hbonePort: peer.port,
    certificates: { certificate: () => Promise.resolve(own), onRotate: () => () => {} },
  });

  test('go through one tunnel a connection, with our own identity, to who the workload is', async () => {
    const peer = await hbonePeer(await authority.certificate('shop/web'), appPort);
    const { upstreams, configure } = testUpstreams(
      [service, endpoint('a', '127.0.0.1', { tunnelProtocol: 'hbone' })],
      options(peer),
    );
    configure(backendOf());
    for (const path of ['/one', '/two']) {
      const heard = new Heard();
      upstreams.open('web', upstreamRequest({ head: requestHead(path) }), heard);
      assert.equal(await heard.closed, undefined);
      assert.equal(heard.body, `hello ${path}`);
      assert.equal(heard.hosts.at(-1)?.peer, 'spiffe://cluster.local/ns/shop/sa/web');
      assert.equal(heard.hosts[0]?.tunnelled, true);
    }
    assert.deepEqual(peer.requests, [
      { authority: '127.0.0.1:8080', from: ownIdentity, forwarded: `for="127.0.0.1";host=${service.hostname}` },
    ]);
    upstreams.close();
    await peer.close();
  });

  test('fail where another workload answers', async () => {
    const peer = await hbonePeer(await authority.certificate('shop/impostor'), appPort);
    const { upstreams, configure } = testUpstreams(
      [service, endpoint('a', '127.0.0.1', { tunnelProtocol: 'hbone' })],
      options(peer),
    );
    configure(backendOf());
    const heard = new Heard();
    upstreams.open('web', upstreamRequest(), heard);
    const failure = await heard.closed;
    assert.equal(failure?.kind, 'connect-failure');
    assert.equal(failure?.flag, 'UF');
    assert.match(failure?.message ?? '', /the server is spiffe:\/\/cluster.local\/ns\/shop\/sa\/impostor/);
    assert.deepEqual(peer.requests, []);
    upstreams.close();
    await peer.close();
  });
});
