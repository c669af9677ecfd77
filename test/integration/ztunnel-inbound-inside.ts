/** Inbound connections of pods in namespaces of their own: authorities, waypoints, application tunnels, gateways, limits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { serviceKey, type SpiffeId } from '../../src/api/names.ts';
import type { GatewayAddress, MeshWorkload } from '../../src/api/workload.ts';
import { createHbonePool, type HbonePool, type PoolKey } from '../../src/hbone/index.ts';
import { connectTls } from '../../src/identity/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges, dial, tlsChannel } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const guardKey = serviceKey('shop', 'guard.shop.svc.cluster.local');
const vip = '10.96.0.10';
const guard: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'shop', hostname: 'guard.shop.svc.cluster.local' },
  hboneMtlsPort: 15008,
};
const web = meshService({
  addresses: [
    { network: defaultNetwork, ip: vip },
    { network: defaultNetwork, ip: 'fd00:96::10' },
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
  let pool: HbonePool<PoolKey & { readonly ip: string }>;

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    peer = await pods.add('front/peer', 2);
    app = await pods.add('shop/app', 3);
    part = startTestDataPart(authority, { maxPodConnections: 20, halfCloseTimeoutMs: 2500 });
    await pods.enrol(app, part);
    await pods.echo(app, 9080);
    const certificate = await authority.certificate('front/peer');
    const expected = ['spiffe://cluster.local/ns/shop/sa/app' as SpiffeId];
    pool = createHbonePool({
      async dial({ ip }) {
        const socket = await dial({ netns: peer.netns, host: ip, port: 15008, timeoutMs: 10_000 });
        return tlsChannel((await connectTls({ socket, certificate, expected })).socket);
      },
    });
  });

  beforeEach(() => {
    part.log.length = 0;
    part.send({ kind: 'addresses', update: { updated: [], removed: [webKey, guardKey] } });
    part.setAddresses(web, workloadOf(peer), workloadOf(app, { services: new Map([[webKey, []]]) }));
  });

  after(async () => {
    pool?.close();
    await part?.drain(10);
    await pods?.close();
  });

  /** What comes back for a CONNECT with 'ping' in it; `status reason` when it is refused. */
  async function ask(authority: string, ip = app.ip4, headers: Record<string, string> = {}): Promise<string> {
    const tunnel = await pool.connect({ id: ip, ip }, { authority, headers }).catch((error: Error) => error);
    if (tunnel instanceof Error) return tunnel.message;
    return new Promise((resolve) => {
      let text = '';
      tunnel.read({
        neverKeeps: true,
        onData(bytes) {
          text += Buffer.from(bytes).toString('latin1');
          tunnel.credit(bytes.length);
          return false;
        },
        onEnd() {},
        onDrain() {},
        onClose: (error) => resolve(error ? error.message : text),
      });
      tunnel.write(Buffer.from('ping'));
      tunnel.end();
    });
  }

  test('addresses of the pod, of either family, and names of its services are served', async () => {
    for (const ip of [app.ip4, app.ip6]) {
      for (const host of [app.ip4, `[${app.ip6}]`]) assert.equal(await ask(`${host}:9080`, ip), 'app:ping');
      assert.equal(await ask('web.shop.svc.cluster.local:80', ip), 'app:ping');
    }
  });

  test("what is not the pod's is refused, with a reason that names it", async () => {
    assert.match(
      await ask(`${peer.ip4}:9080`),
      /http status: 400 \(CONNECT refused: authority 10\.244\.0\.2:9080 is not served at 10\.244\.0\.3/,
    );
    assert.match(await ask(`${vip}:80`), /http status: 400/);
    assert.match(
      await ask('other.shop.svc.cluster.local:80'),
      /http status: 503 \(CONNECT refused: unknown service other\.shop/,
    );
    assert.match(await ask('web.shop.svc.cluster.local:81'), /http status: 503 \(CONNECT refused: .*serves no port 81/);
    assert.match(
      await ask(`${app.ip4}:15001`),
      /http status: 503 \(CONNECT refused: port 15001 is a listener of the proxy itself/,
    );
    assert.match(await ask(`${app.ip4}:9999`), /http status: 503 \(.*nothing in the pod listens on port 9999/);
  });

  test('a waypoint takes what it guards, also as one of several by weight, and of a single workload', async () => {
    const own = workloadOf(app, { services: new Map([[guardKey, []]]) });
    await pods.echo(app, 80);
    const guardService = meshService({ name: 'guard' });
    part.setAddresses(own, guardService, { ...web, waypoint: guard });
    assert.equal(await ask(`${vip}:80`), 'app:ping');
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
    assert.equal(await ask(`${vip}:80`), 'app:ping');
    part.setAddresses({ ...web, waypoint: stable });
    assert.match(await ask(`${vip}:80`), /http status: 400/);
    part.setAddresses(workloadOf(peer, { waypoint: guard }));
    assert.equal(await ask(`${peer.ip4}:80`), 'app:ping');
  });

  test('an application tunnel is told the client, its identity and what it asked for, at loopback, before the first byte', async () => {
    const seen: Buffer[] = [];
    await pods.serve(app, { port: 15088, host: '127.0.0.1' }, ({ socket }) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => {
        seen.push(Buffer.concat(chunks));
        socket.end('told');
      });
      socket.resume();
    });
    const applicationTunnel = { protocol: 'proxy' as const, port: 15088 };
    part.setAddresses(workloadOf(app, { applicationTunnel, services: new Map([[webKey, []]]) }));
    assert.equal(await ask(`${vip}:80`), 'told');
    assert.equal(await ask('web.shop.svc.cluster.local:80'), 'told');
    assert.equal(await ask(`${peer.ip4}:7777`), 'told');
    const targets = seen.map((bytes) => {
      assert.equal(bytes.subarray(0, 12).toString('hex'), '0d0a0d0a000d0a515549540a');
      assert.equal(bytes.readUInt16BE(12), 0x2111);
      assert.equal([...bytes.subarray(16, 20)].join('.'), peer.ip4);
      const length = bytes.readUInt16BE(14);
      assert.equal(bytes[28], 0xd0);
      assert.equal(bytes.subarray(31, 16 + length).toString(), 'spiffe://cluster.local/ns/front/sa/peer');
      assert.equal(bytes.subarray(16 + length).toString(), 'ping');
      return `${[...bytes.subarray(20, 24)].join('.')}:${bytes.readUInt16BE(26)}`;
    });
    assert.deepEqual(targets, [`${vip}:80`, `${vip}:80`, `${peer.ip4}:7777`]);
  });

  test('a tunnel from another network is known by what it says of itself, not by the address of the gateway', async () => {
    const baggage = 'k8s.cluster.name=east,k8s.namespace.name=yonder,k8s.deployment.name=caller,service.name=caller';
    assert.equal(
      await ask('web.shop.svc.cluster.local:80', app.ip4, { baggage, 'x-forwarded-network': 'East' }),
      'app:ping',
    );
    await part.logLine(/src\.workload="caller" src\.namespace="yonder" .*src\.cluster="east"/);
    assert.equal(
      await ask('web.shop.svc.cluster.local:80', app.ip4, { baggage, 'x-forwarded-network': '' }),
      'app:ping',
    );
    await part.logLine(/src\.workload="peer" src\.namespace="front"/);
  });

  test("plaintext to the proxy's own ports is refused, whoever sends it", async () => {
    for (const port of [15001, 15006]) assert.equal(await pods.ask(peer, app.ip4, port), undefined);
    await part.logLine(/error="destination 10\.244\.0\.3:15006 is a listener of the proxy itself"/);
  });

  test('beyond its limit a pod refuses tunnels with a reason and plaintext by reset, and serves again afterwards', async () => {
    const open: Socket[] = [];
    for (let i = 0; i < 20; i++) {
      const socket = await pods.connect(peer, app.ip4, 9080);
      socket.resume();
      await once(socket, 'data');
      open.push(socket);
    }
    assert.match(
      await ask(`${app.ip4}:9080`),
      /http status: 503 \(Cannot take connection: pod shop\/app has 20 connections, which is its limit\)/,
    );
    assert.equal(await pods.ask(peer, app.ip4, 9080), undefined);
    for (const socket of open) socket.destroy();
    for (let i = 0; ; i++) {
      const answer = await ask(`${app.ip4}:9080`);
      if (answer === 'app:ping') break;
      assert.ok(i < 1000, answer);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('half-closed plaintext whose other side is silent ends at the timeout', async () => {
    await pods.serve(app, { port: 9081 }, ({ socket }) => socket.resume());
    const socket = await pods.connect(peer, app.ip4, 9081);
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.end('x');
    assert.equal(await over, true);
    await part.logLine(/error="connection closed: one side ended, and the other was silent for 2\.5 s"/);
  });
});
