/** Two data parts on loopback: what their metrics, access logs and reports say of a connection, and of each kind of failure. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { policyKey, serviceKey, spiffeId } from '../../src/api/names.ts';
import { clientTlsOptions } from '../../src/identity/tls-options.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { formatHostPort } from '../../src/lib/ip.ts';
import { silentLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { MetricsRegistry } from '../../src/telemetry/index.ts';
import { registerControlMetrics } from '../../src/ztunnel/control-part/process-metrics.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';
import { testPolicy as policy } from './ztunnel-policies.ts';

const families = [
  {
    family: 'IPv4',
    table: 'ip',
    clientIp: '127.0.82.1',
    serverIp: '127.0.82.2',
    silentIp: '127.0.82.3',
    otherIp: '127.0.82.4',
    unissuedIp: '127.0.82.5',
    vip: '10.96.82.1',
    silentVip: '10.96.82.3',
  },
  {
    family: 'IPv6',
    table: 'ip6',
    clientIp: 'fd82::1',
    serverIp: 'fd82::2',
    silentIp: 'fd82::3',
    otherIp: 'fd82::4',
    unissuedIp: 'fd82::5',
    vip: 'fd00:96:82::1',
    silentVip: 'fd00:96:82::3',
  },
] as const;
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const caller = spiffeId('cluster.local', 'front', 'caller');
const web = spiffeId('cluster.local', 'shop', 'web');
const at = { outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 };

/** Of nobody in the mesh. */
const strangerIp = 'fd82::9';

type Labels = Record<string, string>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** The samples of a metric in the text format. */
function samplesOf(exposition: string, name: string): Sample[] {
  return exposition
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
    .map((line) => ({
      labels: Object.fromEntries(
        [...line.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
      ) as Labels,
      value: Number(line.split(' ').at(-1)),
    }));
}

for (const { family, table, clientIp, serverIp, silentIp, otherIp, unissuedIp, vip, silentVip } of families) {
  describe(`telemetry of two data parts in ${family}`, () => {
    let authority: TestAuthority;
    let client: TestDataPart;
    let server: TestDataPart;
    /** For what nobody answers. */
    let hasty: TestDataPart;
    let application: Server;
    let applicationPort: number;
    const open = new Set<Socket>();
    const clientWorkload = meshWorkload({
      name: 'client',
      namespace: 'front',
      serviceAccount: 'caller',
      workloadName: 'curl',
      canonicalName: 'curl-app',
      canonicalRevision: 'v2',
      addresses: [clientIp],
      locality: { region: 'eu', zone: 'eu-1', subzone: '' },
    });
    const workloads = (targetPort: number) => [
      clientWorkload,
      meshWorkload({
        name: 'web-1',
        serviceAccount: 'web',
        workloadName: 'web-deploy',
        canonicalName: 'web-app',
        canonicalRevision: 'v1',
        addresses: [serverIp],
        services: new Map([[webKey, [{ servicePort: 80, targetPort, appProtocol: 'unknown' as const }]]]),
      }),
      meshService({ addresses: [{ network: defaultNetwork, ip: vip }] }),
    ];

    before(async () => {
      await checkPrivileges();
      if (family === 'IPv6') {
        for (const ip of [clientIp, serverIp, silentIp, otherIp, unissuedIp, strangerIp])
          assert.equal(spawnSync('ip', ['addr', 'add', `${ip}/128`, 'dev', 'lo', 'nodad']).status, 0);
        // On loopback IPv6 dials an address from itself: whoever is there would count as the source.
        const nat = `add table ip6 nat\nadd chain ip6 nat out { type nat hook postrouting priority 100; }\nadd rule ip6 nat out ip6 daddr ${serverIp} tcp dport 15008 snat to ${strangerIp}\n`;
        assert.equal(spawnSync('nft', ['-f', '-'], { input: nat }).status, 0);
      }
      authority = await createTestAuthority();
      application = net.createServer({ allowHalfOpen: true }, (socket) => {
        open.add(socket);
        socket.on('error', () => {});
        socket.pipe(socket);
      });
      application.listen(0, serverIp);
      await once(application, 'listening');
      applicationPort = (application.address() as AddressInfo).port;
      // One identity is never issued: the test says so itself.
      const issuing = {
        certificate: (identity: string) =>
          identity.endsWith('/sa/unissued') ? new Promise<never>(() => {}) : authority.certificate(identity),
      };
      client = startTestDataPart(issuing);
      server = startTestDataPart(issuing);
      hasty = startTestDataPart(issuing, { handshakeTimeoutMs: 500, connectTimeoutMs: 500, tryTimeoutMs: 500 });
      for (const part of [client, server, hasty]) part.setAddresses(...workloads(applicationPort));
      await client.serve({
        pod: { uid: 'client-uid', name: 'client', namespace: 'front', serviceAccount: 'caller' },
        listenAt: {
          ...at,
          host: clientIp,
          originalDestination: { outbound: { address: vip, port: 80 }, plaintext: { address: clientIp, port: 1 } },
        },
      });
      await server.serve({
        pod: { uid: 'web-uid', name: 'web-1', namespace: 'shop', serviceAccount: 'web' },
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
      await Promise.all([client, server, hasty].map((part) => part.drain(10)));
      application.close();
    });

    function dial(host: string = clientIp): Socket {
      const socket = net.connect({ host, port: 15001, localAddress: host, allowHalfOpen: true });
      open.add(socket);
      socket.on('error', () => {});
      return socket;
    }

    async function refused(host: string = clientIp): Promise<void> {
      const socket = dial(host);
      socket.write('x');
      await new Promise((resolve) => socket.once('close', resolve));
    }

    const named = {
      source_workload: 'curl',
      source_canonical_service: 'curl-app',
      source_canonical_revision: 'v2',
      source_workload_namespace: 'front',
      source_principal: caller,
      source_app: 'curl-app',
      source_version: 'v2',
      source_cluster: 'Kubernetes',
      destination_service: 'web.shop.svc.cluster.local',
      destination_service_namespace: 'shop',
      destination_service_name: 'web',
      destination_workload: 'web-deploy',
      destination_canonical_service: 'web-app',
      destination_canonical_revision: 'v1',
      destination_workload_namespace: 'shop',
      destination_principal: web,
      destination_app: 'web-app',
      destination_version: 'v1',
      destination_cluster: 'Kubernetes',
      request_protocol: 'tcp',
      response_flags: '-',
      connection_security_policy: 'mutual_tls',
      source_region: 'eu',
      source_zone: 'eu-1',
      destination_region: 'unknown',
      destination_zone: 'unknown',
    };

    test('both ends count a connection with all labels, in the order of Istio, from the view of the server', async () => {
      const socket = dial();
      socket.write(randomBytes(100));
      await once(socket, 'data');
      const [outbound] = await client.connections('client-uid', 'outbound');
      const [inbound] = await server.connections('web-uid', 'inbound');
      assert.partialDeepStrictEqual(outbound, {
        originalDst: formatHostPort(vip, 80),
        actualDst: formatHostPort(serverIp, 15008),
        hboneAddr: formatHostPort(serverIp, applicationPort),
        protocol: 'HBONE',
        sourceWorkload: 'front/client',
        destinationWorkload: 'shop/web-1',
        service: 'web.shop.svc.cluster.local',
        sourceIdentity: caller,
        destinationIdentity: web,
        bytesSent: 100,
        bytesReceived: 100,
      });
      assert.partialDeepStrictEqual(inbound, { sourceIdentity: caller, bytesSent: 100, bytesReceived: 100 });
      for (const [part, reporter] of [
        [client, 'source'],
        [server, 'destination'],
      ] as const) {
        const open = samplesOf(await part.metrics(), 'istio_tcp_sockets_open');
        assert.equal(open.find(({ labels }) => labels['reporter'] === reporter)?.value, 1);
      }
      socket.end(randomBytes(50).subarray(0, 20));
      await once(socket, 'end');
      const inboundLine = await server.logLine(/connection complete/);
      const outboundLine = await client.logLine(/connection complete/);
      const ends = `dst.addr=${formatHostPort(serverIp, 15008)} dst.hbone_addr=${formatHostPort(serverIp, applicationPort)} `;
      const told =
        'dst.service="web.shop.svc.cluster.local" dst.workload="web-1" dst.namespace="shop" ' +
        `dst.identity="${web}" dst.cluster="Kubernetes" direction=`;
      const from = (name: string): string =>
        ` src.workload="${name}" src.namespace="front" src.identity="${caller}" src.cluster="Kubernetes" `;
      // The tunnel comes from an address that the mesh does not know: what its client says of itself counts.
      assert.ok(inboundLine.includes(`${from('curl')}${ends}${told}`), inboundLine);
      assert.ok(outboundLine.includes(`${from('client')}${ends}${told}`), outboundLine);
      assert.ok(outboundLine.includes(`\tsrc.addr=${formatHostPort(clientIp, 0).slice(0, -1)}`), outboundLine);
      for (const [part, reporter] of [
        [client, 'source'],
        [server, 'destination'],
      ] as const) {
        const text = await part.metrics();
        for (const [name, value] of [
          ['connections_opened', 1],
          ['connections_closed', 1],
          ['received_bytes', 120],
          ['sent_bytes', 120],
        ] as const) {
          const samples = samplesOf(text, `istio_tcp_${name}_total`);
          assert.deepEqual(samples, [{ labels: { reporter, ...named }, value }], `${reporter} ${name}`);
          assert.deepEqual(Object.keys(samples[0]?.labels ?? {}), ['reporter', ...Object.keys(named)]);
        }
        assert.deepEqual(samplesOf(text, 'istio_tcp_connections_failed_total'), []);
        const open = samplesOf(text, 'istio_tcp_sockets_open');
        assert.ok(open.every(({ value }) => value === 0));
      }
    });

    /** The label sets of failed connections, by flag; each with what else differs from `named`. */
    async function failures(part: TestDataPart): Promise<Map<string, Labels>> {
      const samples = samplesOf(await part.metrics(), 'istio_tcp_connections_failed_total');
      return new Map(samples.map(({ labels }) => [labels['response_flags'] ?? '', labels]));
    }

    test('a refusal by policy is DENY where it was decided, and names the policy at both ends', async () => {
      server.setPolicies([policy('nobody', 'deny', { principals: [{ kind: 'presence' }] })]);
      await server.applied();
      await refused();
      await server.logLine(/error="connection denied: explicitly denied by: shop\/nobody"/);
      await client.logLine(/error=".*http status: 401 \(.*shop\/nobody.*\)"/);
      assert.deepEqual((await failures(server)).get('DENY'), {
        reporter: 'destination',
        ...named,
        response_flags: 'DENY',
      });
      assert.ok((await failures(client)).has('CONNECT'));
      server.setPolicies([], [policyKey('shop', 'nobody')]);
      await server.applied();
    });

    test('an application that nobody hears is CONNECT, and the line says where to look', async () => {
      const gone = net.createServer().listen(0, serverIp);
      await once(gone, 'listening');
      const { port } = gone.address() as AddressInfo;
      gone.close();
      for (const part of [client, server]) part.setAddresses(...workloads(port));
      await Promise.all([client.applied(), server.applied()]);
      await refused();
      await server.logLine(/direction="inbound".*error=".*nothing in the pod listens on port/);
      assert.equal((await failures(server)).get('CONNECT')?.['destination_workload'], 'web-deploy');
      for (const part of [client, server]) part.setAddresses(...workloads(applicationPort));
      await Promise.all([client.applied(), server.applied()]);
    });

    test('a handshake that fails is TLS_FAILURE, and garbage after it H2_HANDSHAKE_FAILURE', async () => {
      const bare = tls.connect({ host: serverIp, port: 15008, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      bare.on('error', () => {});
      bare.resume();
      await new Promise((resolve) => bare.once('close', resolve));
      await server.logLine(/error=".*no certificate: who calls is not part of the mesh"/);
      assert.equal((await failures(server)).get('TLS_FAILURE')?.['connection_security_policy'], 'unknown');

      const garbage = tls.connect({
        ...clientTlsOptions(await authority.certificate('front/caller')),
        host: serverIp,
        port: 15008,
      });
      garbage.on('error', () => {});
      await once(garbage, 'secureConnect');
      garbage.write('GET / HTTP/1.1\r\n\r\n'.repeat(4));
      garbage.resume();
      await new Promise((resolve) => garbage.once('close', resolve));
      await server.logLine(/direction="inbound".*error=".*(preface|PREFACE|HTTP\/2).*"/);
      assert.equal((await failures(server)).get('H2_HANDSHAKE_FAILURE')?.['source_principal'], caller);
    });

    test('a port 15008 that swallows everything is NETWORK_POLICY', async () => {
      const rules = `add table ${table} t\nadd chain ${table} t in { type filter hook input priority 0; }\nadd rule ${table} t in ${table} daddr ${silentIp} tcp dport 15008 drop\n`;
      assert.equal(spawnSync('nft', ['-f', '-'], { input: rules }).status, 0);
      const silentKey = serviceKey('shop', 'silent.shop.svc.cluster.local');
      hasty.setAddresses(
        meshWorkload({
          uid: 'Kubernetes//Pod/shop/silent' as never,
          name: 'silent',
          workloadName: 'silent',
          serviceAccount: 'web',
          addresses: [silentIp],
          services: new Map([[silentKey, [{ servicePort: 80, targetPort: 80, appProtocol: 'unknown' as const }]]]),
        }),
        meshService({
          name: 'silent',
          hostname: 'silent.shop.svc.cluster.local',
          addresses: [{ network: defaultNetwork, ip: silentVip }],
        }),
        meshWorkload({
          uid: 'Kubernetes//Pod/front/other' as never,
          name: 'other',
          namespace: 'front',
          serviceAccount: 'caller',
          addresses: [otherIp],
        }),
      );
      await hasty.applied();
      await hasty.serve({
        pod: { uid: 'other-uid', name: 'other', namespace: 'front', serviceAccount: 'caller' },
        listenAt: {
          ...at,
          host: otherIp,
          originalDestination: {
            outbound: { address: silentVip, port: 80 },
            plaintext: { address: clientIp, port: 1 },
          },
        },
      });
      await refused(otherIp);
      await hasty.logLine(/dst\.workload="silent".*error=".*NetworkPolicy.*port 15008/);
      assert.equal((await failures(hasty)).get('NETWORK_POLICY')?.['destination_workload'], 'silent');
    });

    test('a certificate that is not issued is IDENTITY_ERROR', async () => {
      hasty.setAddresses(
        meshWorkload({
          uid: 'Kubernetes//Pod/front/unissued' as never,
          name: 'unissued',
          namespace: 'front',
          serviceAccount: 'unissued',
          addresses: [unissuedIp],
        }),
      );
      await hasty.applied();
      await hasty.serve({
        pod: { uid: 'unissued-uid', name: 'unissued', namespace: 'front', serviceAccount: 'unissued' },
        listenAt: {
          ...at,
          host: unissuedIp,
          originalDestination: { outbound: { address: vip, port: 80 }, plaintext: { address: clientIp, port: 1 } },
        },
      });
      await refused(unissuedIp);
      await hasty.logLine(/src\.workload="unissued".*error=".*control plane must be reachable on port 15012/);
      assert.ok((await failures(hasty)).has('IDENTITY_ERROR'));
    });

    test("promtool finds nothing but the names that are upstream's own", async (context) => {
      if (spawnSync('promtool', ['--version']).status !== 0) {
        return context.skip('promtool is not installed: apt-get install -y prometheus');
      }
      const control = new MetricsRegistry({ clock: systemClock, log: silentLog() });
      const metrics = registerControlMetrics(control, { version: '1', pods: { pendingCount: 0, counts: {} } as never });
      metrics.xdsMessage('type.googleapis.com/istio.workload.Address', 5);
      metrics.xdsTermination('Reconnect');
      const input = (await client.metrics()) + control.write('text');
      for (const name of [
        'istio_tcp_connections_failed_total',
        'istio_xds_message_bytes_total',
        'process_cpu_seconds_total',
      ]) {
        assert.match(input, new RegExp(`# TYPE ${name} counter\n`));
      }
      const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
      const problems = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
      const upstreams =
        /^workload_manager_(?:active|pending)_proxy_count non-histogram and non-summary metrics should not have "_count" suffix$/;
      assert.deepEqual(
        problems.filter((problem) => !upstreams.test(problem)),
        [],
      );
    });
  });
}
