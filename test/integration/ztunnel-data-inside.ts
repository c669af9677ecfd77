/** Two data parts on loopback addresses: real TLS, CONNECT, policy and hostile peers, without namespaces or root. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { policyKey, serviceKey } from '../../src/api/names.ts';
import type { WorkloadCertificate } from '../../src/identity/index.ts';
import { clientTlsOptions } from '../../src/identity/tls-options.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';
import { testPolicy as policy } from './ztunnel-policies.ts';

const clientIp = '127.0.81.1';
const serverIp = '127.0.81.2';
const vip = '10.96.81.1';
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');

/** Resolves when the socket closed, to whether by an error: `once` would reject at the error before. */
function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => socket.once('close', resolve));
}

const strict = policy('strict', 'deny', { notPrincipals: [{ kind: 'presence' }] });

describe('two data parts', () => {
  let authority: TestAuthority;
  let client: TestDataPart;
  let server: TestDataPart;
  let application: Server;
  let applicationPort: number;
  const open = new Set<Socket>();
  const workloads = (policies: string[] = []) => [
    meshWorkload({ name: 'client', namespace: 'front', serviceAccount: 'caller', addresses: [clientIp] }),
    meshWorkload({
      name: 'web',
      serviceAccount: 'web',
      addresses: [serverIp],
      services: new Map([
        [webKey, [{ servicePort: 80, targetPort: applicationPort, appProtocol: 'unknown' as const }]],
      ]),
      authorizationPolicies: policies.map((name) => policyKey('shop', name)),
    }),
    meshService({ addresses: [{ network: defaultNetwork, ip: vip }] }),
  ];

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    // Answers what it gets, and ends when the client does.
    application = net.createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    application.listen(0, serverIp);
    await once(application, 'listening');
    applicationPort = (application.address() as AddressInfo).port;
    client = startTestDataPart(authority);
    server = startTestDataPart(authority);
    for (const part of [client, server]) part.setAddresses(...workloads());
    const at = { outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 };
    await client.serve({
      pod: { uid: 'client-uid', name: 'client', namespace: 'front', serviceAccount: 'caller' },
      listenAt: {
        ...at,
        host: clientIp,
        originalDestination: { outbound: { address: vip, port: 80 }, plaintext: { address: clientIp, port: 1 } },
      },
    });
    await server.serve({
      pod: { uid: 'web-uid', name: 'web', namespace: 'shop', serviceAccount: 'web' },
      listenAt: {
        ...at,
        host: serverIp,
        originalDestination: {
          outbound: { address: vip, port: 80 },
          plaintext: { address: serverIp, port: applicationPort },
        },
      },
    });
  });

  after(async () => {
    for (const socket of open) socket.destroy();
    await Promise.all([client.drain(10), server.drain(10)]);
    application.close();
  });

  function dialOutbound(): Socket {
    const socket = net.connect({ host: clientIp, port: 15001, localAddress: clientIp, allowHalfOpen: true });
    open.add(socket);
    return socket;
  }

  test('random bytes come back whole through the tunnel, with half-close, and both ends log and count them', async () => {
    const sent = randomBytes(3_000_000);
    const socket = dialOutbound();
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.end(sent);
    await once(socket, 'end');
    assert.ok(Buffer.concat(received).equals(sent));
    const outbound = await client.logLine(
      /connection complete.*direction="outbound".*bytes_sent=3000000 bytes_recv=3000000/,
    );
    const inbound = await server.logLine(
      /connection complete.*direction="inbound".*bytes_sent=3000000 bytes_recv=3000000/,
    );
    for (const line of [outbound, inbound]) {
      assert.match(
        line,
        /src\.workload="client" src\.namespace="front" src\.identity="spiffe:\/\/cluster\.local\/ns\/front\/sa\/caller"/,
      );
      assert.match(
        line,
        /dst\.service="web\.shop\.svc\.cluster\.local" dst\.workload="web".*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/,
      );
    }
    const labels =
      /reporter="destination".*source_principal="spiffe:\/\/cluster\.local\/ns\/front\/sa\/caller".*connection_security_policy="mutual_tls"/;
    const metrics = await server.metrics();
    const received_ = metrics
      .split('\n')
      .find((line) => line.startsWith('istio_tcp_received_bytes_total') && labels.test(line));
    assert.match(received_ ?? metrics, / 3000000$/);
    assert.match(await client.metrics(), /istio_tcp_connections_closed_total\{reporter="source"/);
  });

  test('200 connections at once share tunnels and keep their bytes apart', async () => {
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const sent = randomBytes(20_000);
        const socket = dialOutbound();
        const received: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => received.push(chunk));
        socket.end(sent);
        await once(socket, 'end');
        assert.ok(Buffer.concat(received).equals(sent));
      }),
    );
  });

  async function refusedOutbound(): Promise<void> {
    const socket = dialOutbound();
    socket.on('error', () => {});
    socket.write('hello');
    socket.resume();
    assert.equal(await closed(socket), true, 'a refused connection is reset');
  }

  test('DENY refuses with 401 and its name in the log of both ends; its removal admits again', async () => {
    server.setPolicies([
      policy('no-callers', 'deny', { principals: [{ kind: 'exact', value: 'cluster.local/ns/front/sa/caller' }] }),
    ]);
    await refusedOutbound();
    await client.logLine(/error="Cannot open tunnel: http status: 401 \(explicitly denied by: shop\/no-callers\)"/);
    await server.logLine(/policy="shop\/no-callers" error="connection denied: explicitly denied by: shop\/no-callers"/);
    assert.match(await server.metrics(), /istio_tcp_connections_failed_total\{.*response_flags="DENY"/);
    server.setPolicies([], ['shop/no-callers']);
    await server.applied();
    await echo();
  });

  async function echo(): Promise<void> {
    const socket = dialOutbound();
    socket.end('ping');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.equal(data.toString(), 'ping');
    // To its end: what is still open meets the policies of the next test.
    if (!socket.readableEnded) await once(socket, 'end');
  }

  test('an ALLOW for others refuses; for the caller it admits and is logged', async () => {
    server.setPolicies([policy('only', 'allow', { namespaces: [{ kind: 'exact', value: 'other' }] })]);
    await server.applied();
    await refusedOutbound();
    await server.logLine(/error="connection denied: allow policies exist, but none allowed: [^"]+"/);
    server.setPolicies([
      policy('only', 'allow', { namespaces: [{ kind: 'exact', value: 'front' }], destinationPorts: [applicationPort] }),
    ]);
    await echo();
    await server.logLine(/connection complete.*policy="shop\/only"$/);
    server.setPolicies([], ['shop/only']);
    await server.applied();
  });

  test('a policy change closes live connections that it denies', async () => {
    const socket = dialOutbound();
    socket.on('error', () => {});
    socket.write('live');
    await once(socket, 'data');
    const cut = closed(socket);
    server.setPolicies([policy('late', 'deny', { namespaces: [{ kind: 'exact', value: 'front' }] })]);
    await server.applied();
    await cut;
    await server.logLine(/error="connection closed due to policy change"/);
    server.setPolicies([], ['shop/late']);
    await server.applied();
  });

  test('a change of the workload re-checks its connections too', async () => {
    const deny = policy('named', 'deny', { destinationPorts: [applicationPort] }, { scope: 'workload-selector' });
    server.setPolicies([deny]);
    const socket = dialOutbound();
    socket.on('error', () => {});
    socket.write('live');
    await once(socket, 'data');
    const cut = closed(socket);
    server.setAddresses(...workloads(['named']));
    await cut;
    server.setAddresses(...workloads());
    server.setPolicies([], ['shop/named']);
    await server.applied();
  });

  test('an unknown policy holds new connections until it arrives, and never cuts live ones', async () => {
    const live = dialOutbound();
    live.write('live');
    await once(live, 'data');
    server.setAddresses(...workloads(['coming']));
    await server.applied();
    const held = dialOutbound();
    held.end('held');
    const quiet = await Promise.race([
      once(held, 'data').then(() => 'data'),
      new Promise((resolve) => setTimeout(resolve, 200, 'quiet')),
    ]);
    assert.equal(quiet, 'quiet');
    const answer = once(held, 'data');
    server.setPolicies([
      policy('coming', 'allow', { namespaces: [{ kind: 'exact', value: 'front' }] }, { scope: 'workload-selector' }),
    ]);
    await answer;
    live.write('still');
    await once(live, 'data');
    live.destroy();
    server.setAddresses(...workloads());
    server.setPolicies([], ['shop/coming']);
    await server.applied();
  });

  test('plaintext is served with PERMISSIVE and refused with STRICT', async () => {
    const served = net.connect({ host: serverIp, port: 15006 });
    // The policy may find it before it has ended.
    served.on('error', () => {});
    served.end('plain');
    assert.equal(String((await once(served, 'data'))[0]), 'plain');
    server.setPolicies([strict]);
    await server.applied();
    const refused = net.connect({ host: serverIp, port: 15006 });
    refused.on('error', () => {});
    refused.write('plain');
    assert.equal(await closed(refused), true);
    await server.logLine(/explicitly denied by: shop\/strict/);
    await echo();
    server.setPolicies([], ['shop/strict']);
    await server.applied();
  });

  async function tlsTo15008(certificate: WorkloadCertificate | undefined): Promise<tls.TLSSocket> {
    const options = certificate ? clientTlsOptions(certificate) : { rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const socket = tls.connect({ ...options, host: serverIp, port: 15008 });
    open.add(socket);
    socket.on('error', () => {});
    return socket;
  }

  test('garbage instead of TLS, a client without certificate and one of another trust domain are refused, and said so', async () => {
    const garbage = net.connect({ host: serverIp, port: 15008 });
    garbage.on('error', () => {});
    garbage.write(randomBytes(500));
    await closed(garbage);
    await server.logLine(/error="Cannot finish the TLS handshake: .*"/);

    const nobody = await tlsTo15008(undefined);
    nobody.resume();
    await closed(nobody);
    await server.logLine(/the client showed no certificate/);

    const stranger = await tlsTo15008(await authority.certificate('spiffe://other.domain/ns/front/sa/caller'));
    stranger.resume();
    await closed(stranger);
    await server.logLine(/not of trust domain cluster\.local/);

    const foreign = await createTestAuthority();
    const unknown = await tlsTo15008(await foreign.certificate('front/caller'));
    unknown.resume();
    await closed(unknown);
    assert.match(await server.metrics(), /response_flags="TLS_FAILURE"/);
    await echo();
  });

  test('a client that never finishes its handshake is cut at the timeout', async () => {
    const hasty = startTestDataPart(authority, { handshakeTimeoutMs: 500 });
    hasty.setAddresses(meshWorkload({ name: 'hasty', addresses: ['127.0.81.5'] }));
    await hasty.serve({
      pod: { uid: 'hasty', name: 'hasty', namespace: 'shop', serviceAccount: 'default' },
      listenAt: { host: '127.0.81.5', outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 },
    });
    const silent = net.connect({ host: '127.0.81.5', port: 15008 });
    silent.on('error', () => {});
    await closed(silent);
    await hasty.logLine(/no end of it in 500 ms/);
    await hasty.drain(10);
  });

  test('malformed CONNECT requests are refused one by one, and the session lives', async () => {
    const certificate = await authority.certificate('front/caller');
    const session: ClientHttp2Session = connectHttp2(`https://${serverIp}:15008`, {
      createConnection: () => tls.connect({ ...clientTlsOptions(certificate), host: serverIp, port: 15008 }),
    });
    const statusOf = async (headers: Record<string, string>): Promise<number> => {
      const stream = session.request(headers);
      stream.on('error', () => {});
      const [response] = (await once(stream, 'response')) as [Record<string, number>];
      stream.close(constants.NGHTTP2_CANCEL);
      return response[':status'] ?? 0;
    };
    assert.equal(await statusOf({ ':method': 'GET', ':path': '/', ':scheme': 'https', ':authority': 'x' }), 400);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': 'no-port' }), 400);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': '10.0.0.1:80' }), 400);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': 'nobody.shop.svc.cluster.local:80' }), 503);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': `${serverIp}:15001` }), 503);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': `${serverIp}:1` }), 503);
    assert.equal(await statusOf({ ':method': 'CONNECT', ':authority': `${serverIp}:${applicationPort}` }), 200);
    session.destroy();
    await echo();
  });

  test('bytes that are no HTTP/2 after a good handshake end that connection alone', async () => {
    const socket = await tlsTo15008(await authority.certificate('front/caller'));
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed(socket);
    await echo();
  });

  test('an unknown own workload refuses; a removed pod loses its connections and listeners at once', async () => {
    const lone = startTestDataPart(authority, { ownWorkloadTimeoutMs: 50 });
    const target = {
      pod: { uid: 'lone', name: 'lone', namespace: 'x', serviceAccount: 'x' },
      listenAt: { host: '127.0.81.3', outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 },
    };
    await lone.serve(target);
    const socket = net.connect({ host: '127.0.81.3', port: 15001 });
    socket.on('error', () => {});
    await closed(socket);
    await lone.logLine(/own workload is not known to the mesh/);
    lone.send({ kind: 'remove-pod', uid: 'lone' });
    await lone.applied();
    const late = net.connect({ host: '127.0.81.3', port: 15001 });
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
    assert.deepEqual((await lone.report()).pods, []);
    await lone.drain(10);
  });

  test('a drain lets live connections end, and cuts what is left at the deadline', async () => {
    const part = startTestDataPart(authority);
    part.setAddresses(...workloads(), meshWorkload({ name: 'leaving', addresses: ['127.0.81.4'] }));
    await part.serve({
      pod: { uid: 'leaving', name: 'leaving', namespace: 'shop', serviceAccount: 'default' },
      listenAt: {
        host: '127.0.81.4',
        outboundPort: 15001,
        inboundPort: 15008,
        plaintextPort: 15006,
        originalDestination: { outbound: { address: vip, port: 80 }, plaintext: { address: serverIp, port: 1 } },
      },
    });
    const dialLeaving = async (): Promise<Socket> => {
      const socket = net.connect({ host: '127.0.81.4', port: 15001 });
      socket.on('error', () => {});
      open.add(socket);
      socket.write('x');
      await once(socket, 'data');
      return socket;
    };
    const [ending, staying] = await Promise.all([dialLeaving(), dialLeaving()]);
    const cut = closed(staying);
    const drained = part.drain(2000);
    ending.write('more');
    assert.equal(String((await once(ending, 'data'))[0]), 'more');
    ending.end();
    await drained;
    await cut;
    await part.logLine(/error="connection closed from drain"/);
  });
});
