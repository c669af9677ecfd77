/** Inbound connections of pods in namespaces of their own: authorities, waypoints, application tunnels, gateways, limits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { serviceKey, type SpiffeId } from '../../src/api/names.ts';
import type { GatewayAddress, MeshWorkload } from '../../src/api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { formatIp } from '../../src/lib/ip.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/run.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';
import { openTunnelClient, type TunnelClient } from './tunnel-client.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const guardKey = serviceKey('shop', 'guard.shop.svc.cluster.local');
const vips = { ip4: '10.96.0.10', ip6: 'fd00:96::10' };
const at = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);
const guard: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'shop', hostname: 'guard.shop.svc.cluster.local' },
  hboneMtlsPort: 15008,
};
const web = meshService({
  addresses: [
    { network: defaultNetwork, ip: vips.ip4 },
    { network: defaultNetwork, ip: vips.ip6 },
  ],
  ports: [{ servicePort: 80, targetPort: 9080, appProtocol: 'unknown' }],
});

function workloadOf(pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload {
  const { name, namespace, serviceAccount, ip4, ip6 } = pod;
  return meshWorkload({ name, namespace, serviceAccount, addresses: [ip4, ip6], ...more });
}

describe('inbound', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let part: TestDataPart;
  let peer: TestPod;
  let app: TestPod;
  let client: TunnelClient;

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    peer = await pods.add('front/peer', 2);
    app = await pods.add('shop/app', 3);
    part = startTestDataPart(authority, { maxPodConnections: 20, halfCloseTimeoutMs: 2500 });
    await pods.enrol(app, part);
    await pods.echo(app, 9080);
    client = openTunnelClient({
      pod: peer,
      certificate: await authority.certificate('front/peer'),
      expected: 'spiffe://cluster.local/ns/shop/sa/app' as SpiffeId,
    });
  });

  beforeEach(() => {
    part.log.length = 0;
    part.send({ kind: 'addresses', update: { updated: [], removed: [webKey, guardKey] } });
    part.setAddresses(web, workloadOf(peer), workloadOf(app, { services: new Map([[webKey, []]]) }));
  });

  after(async () => {
    client?.close();
    await part?.drain(10);
    await pods?.close();
  });

  const ask = (authority: string, ip = app.ip4, headers: Record<string, string> = {}): Promise<string> =>
    client.ask(authority, ip, headers);

  test('addresses of the pod, of either family, and names of its services are served', async () => {
    for (const ip of [app.ip4, app.ip6]) {
      for (const host of [app.ip4, `[${app.ip6}]`]) assert.equal(await ask(`${host}:9080`, ip), 'app:ping');
      assert.equal(await ask('web.shop.svc.cluster.local:80', ip), 'app:ping');
    }
  });

  for (const family of ['ip4', 'ip6'] as const) {
    test(`what is not the pod's is refused, with a reason that names it, by ${family}`, async () => {
      const to = (authority: string): Promise<string> => ask(authority, app[family]);
      assert.match(
        await to(`${at(peer[family])}:9080`),
        family === 'ip4'
          ? /http status: 400 \(CONNECT refused: authority 10\.244\.0\.2:9080 is not served at 10\.244\.0\.3/
          : /http status: 400 \(CONNECT refused: authority \[fd00:244::2\]:9080 is not served at fd00:244::3/,
      );
      assert.match(await to(`${at(vips[family])}:80`), /http status: 400/);
      assert.match(
        await to('other.shop.svc.cluster.local:80'),
        /http status: 503 \(CONNECT refused: unknown service other\.shop/,
      );
      assert.match(
        await to('web.shop.svc.cluster.local:81'),
        /http status: 503 \(CONNECT refused: .*serves no port 81/,
      );
      assert.match(
        await to(`${at(app[family])}:15001`),
        /http status: 503 \(CONNECT refused: port 15001 is a listener of the proxy itself/,
      );
      assert.match(await to(`${at(app[family])}:9999`), /http status: 503 \(.*nothing in the pod listens on port 9999/);
    });
  }

  test('a service that only others see is served by its endpoint, at its own port', async () => {
    const seen = { ...web, exportTo: ['front'] };
    const ports = [{ servicePort: 80, targetPort: 9080, appProtocol: 'unknown' as const }];
    part.setAddresses(
      { ...seen, ports: [{ servicePort: 80, targetPort: 0, appProtocol: 'unknown' }] },
      workloadOf(app, { services: new Map([[webKey, ports]]) }),
    );
    for (const ip of [app.ip4, app.ip6]) assert.equal(await ask('web.shop.svc.cluster.local:80', ip), 'app:ping');
  });

  test('a waypoint takes what it guards, also as one of several by weight, and of a single workload', async () => {
    const own = workloadOf(app, { services: new Map([[guardKey, []]]) });
    await pods.echo(app, 80);
    const guardService = meshService({ name: 'guard' });
    part.setAddresses(own, guardService, { ...web, waypoint: guard });
    const ask80 = async (): Promise<string[]> => [
      await ask(`${vips.ip4}:80`, app.ip4),
      await ask(`[${vips.ip6}]:80`, app.ip6),
    ];
    assert.deepEqual(await ask80(), ['app:ping', 'app:ping']);
    const stable = {
      ...guard,
      destination: { kind: 'hostname' as const, namespace: 'shop', hostname: 'stable.shop.svc.cluster.local' },
    };
    part.setAddresses({
      ...web,
      waypoint: stable,
      weightedWaypoints: [
        { destination: stable, weight: 9 },
        { destination: guard, weight: 1 },
      ],
    });
    assert.deepEqual(await ask80(), ['app:ping', 'app:ping']);
    part.setAddresses({ ...web, waypoint: stable });
    for (const answer of await ask80()) assert.match(answer, /http status: 400/);
    part.setAddresses(workloadOf(peer, { waypoint: guard }));
    assert.equal(await ask(`${peer.ip4}:80`), 'app:ping');
    assert.equal(await ask(`[${peer.ip6}]:80`, app.ip6), 'app:ping');
  });

  for (const family of ['ip4', 'ip6'] as const) {
    test(`an application tunnel is told the client, its identity and what it asked for, at loopback, before the first byte, by ${family}`, async () => {
      const seen: Buffer[] = [];
      const host = family === 'ip4' ? '127.0.0.1' : '::1';
      await pods.serve(app, { port: 15088, host }, ({ socket }) => {
        const chunks: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        socket.on('end', () => {
          seen.push(Buffer.concat(chunks));
          socket.end('told');
        });
        socket.resume();
      });
      const applicationTunnel = { protocol: 'proxy' as const, port: 15088 };
      const [vip, client] = [vips[family], peer[family]];
      part.setAddresses(
        // By name it is told an address of the service, IPv4 first.
        { ...web, addresses: [{ network: defaultNetwork, ip: vip }] },
        workloadOf(app, { applicationTunnel, services: new Map([[webKey, []]]) }),
      );
      for (const asked of [`${at(vip)}:80`, 'web.shop.svc.cluster.local:80', `${at(client)}:7777`])
        assert.equal(await ask(asked, app[family]), 'told');
      const width = family === 'ip4' ? 4 : 16;
      const targets = seen.map((bytes) => {
        assert.equal(bytes.subarray(0, 12).toString('hex'), '0d0a0d0a000d0a515549540a');
        assert.equal(bytes.readUInt16BE(12), family === 'ip4' ? 0x2111 : 0x2121);
        assert.equal(formatIp(bytes.subarray(16, 16 + width)), client);
        const length = bytes.readUInt16BE(14);
        const tlv = 16 + 2 * width + 4;
        assert.equal(bytes[tlv], 0xd0);
        assert.equal(bytes.subarray(tlv + 3, 16 + length).toString(), 'spiffe://cluster.local/ns/front/sa/peer');
        assert.equal(bytes.subarray(16 + length).toString(), 'ping');
        return `${formatIp(bytes.subarray(16 + width, 16 + 2 * width))}:${bytes.readUInt16BE(16 + 2 * width + 2)}`;
      });
      assert.deepEqual(targets, [`${vip}:80`, `${vip}:80`, `${client}:7777`]);
    });
  }

  test('a tunnel from another network is known by what it says of itself, not by the address of the gateway', async () => {
    const baggage = 'k8s.cluster.name=east,k8s.namespace.name=yonder,k8s.deployment.name=caller,service.name=caller';
    for (const ip of [app.ip4, app.ip6]) {
      part.log.length = 0;
      const from = (network: string): Promise<string> =>
        ask('web.shop.svc.cluster.local:80', ip, { baggage, 'x-forwarded-network': network });
      assert.equal(await from('East'), 'app:ping');
      await part.logLine(/src\.workload="caller" src\.namespace="yonder" .*src\.cluster="east"/);
      assert.equal(await from(''), 'app:ping');
      await part.logLine(/src\.workload="peer" src\.namespace="front"/);
    }
  });

  test("plaintext to the proxy's own ports is refused, whoever sends it", async () => {
    for (const ip of [app.ip4, app.ip6]) {
      for (const port of [15001, 15006]) assert.equal(await pods.ask(peer, ip, port), undefined);
    }
    await part.logLine(/error="destination 10\.244\.0\.3:15006 is a listener of the proxy itself"/);
    await part.logLine(/error="destination \[fd00:244::3\]:15006 is a listener of the proxy itself"/);
  });

  for (const family of ['ip4', 'ip6'] as const)
    test(`beyond its limit a pod refuses tunnels with a reason and plaintext by reset, and serves again afterwards, by ${family}`, async () => {
      const ip = app[family];
      await eventually(
        async () => (await part.report()).pods.every(({ connectionCount }) => connectionCount === 0),
        'those of earlier tests are gone',
      );
      const open: Socket[] = [];
      for (let i = 0; i < 20; i++) {
        const socket = await pods.connect(peer, ip, 9080);
        socket.resume();
        await once(socket, 'data');
        open.push(socket);
      }
      assert.match(
        await ask(`${at(ip)}:9080`, ip),
        /http status: 503 \(Cannot take connection: pod shop\/app has 20 connections, which is its limit\)/,
      );
      assert.equal(await pods.ask(peer, ip, 9080), undefined);
      for (const socket of open) socket.destroy();
      for (let i = 0; ; i++) {
        const answer = await ask(`${at(ip)}:9080`, ip);
        if (answer === 'app:ping') break;
        assert.ok(i < 1000, answer);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });

  test('half-closed plaintext whose other side is silent ends at the timeout', async () => {
    await pods.serve(app, { port: 9081 }, ({ socket }) => socket.resume());
    for (const ip of [app.ip4, app.ip6]) {
      const socket = await pods.connect(peer, ip, 9081);
      const over = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      socket.end('x');
      assert.equal(await over, true);
    }
    await part.logLine(/error="connection closed: one side ended, and the other was silent for 2\.5 s"/);
  });
});
