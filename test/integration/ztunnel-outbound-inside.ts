/** Outbound connections of pods in namespaces of their own, in IPv4 and IPv6: endpoints that fail, waypoints, other networks, REGISTRY_ONLY. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { serviceKey, type NetworkId } from '../../src/api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload } from '../../src/api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { answerWith, carryTo, startHbonePeer } from './hbone-peer.ts';
import { TestPods, uidOf, type TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';
import { testPolicy } from './ztunnel-policies.ts';

const appPort = 9080;
const farNetwork = 'far' as NetworkId;
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const vips = ['10.96.0.10', 'fd00:96::10'];
const addresses = vips.map((ip) => ({ network: defaultNetwork, ip }));
const web = meshService({
  addresses,
  ports: [{ servicePort: 80, targetPort: appPort, appProtocol: 'unknown' }],
  ipFamilies: 'dual',
});
const gatewayNamed = (name: string): GatewayAddress => ({
  destination: { kind: 'hostname', namespace: 'infra', hostname: `${name}.infra.svc.cluster.local` },
  hboneMtlsPort: 15008,
});
const gatewayKey = (name: string): ReturnType<typeof serviceKey> =>
  serviceKey('infra', `${name}.infra.svc.cluster.local`);
const gatewayService = meshService({
  name: 'gateway',
  namespace: 'infra',
  ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'unknown' }],
});

function workloadOf(pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload {
  const { name, namespace, serviceAccount, ip4, ip6 } = pod;
  return meshWorkload({ name, namespace, serviceAccount, addresses: [ip4, ip6], ...more });
}

function familyOf(address: string): string {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => socket.once('close', resolve));
}

describe('outbound', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let near: TestDataPart;
  let far: TestDataPart;
  let client: TestPod;
  let webs: TestPod[];
  /** In the mesh's view it speaks HBONE; nobody serves it. */
  let bare: TestPod;
  let gateway: TestPod;
  let outsider: TestPod;
  let nameAnswer: () => Promise<{ address: string; ttlSeconds: number }[]> = async () => [];

  const inService = (pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload =>
    workloadOf(pod, { services: new Map([[webKey, []]]), ...more });
  const gatewayPod = (more: Partial<MeshWorkload> = {}): MeshWorkload =>
    workloadOf(gateway, { services: new Map([[gatewayKey('gateway'), []]]), ...more });

  /** The whole mesh as the client's side sees it; whatever was there before is gone. */
  function nearSees(...parts: (MeshWorkload | MeshService)[]): void {
    const all = [client, ...webs, bare, gateway, outsider].map((pod) => workloadOf(pod).uid);
    near.send({
      kind: 'addresses',
      update: { updated: [], removed: [...all, webKey, gatewayKey('gateway'), 'Kubernetes//Pod/shop/remote'] },
    });
    near.setAddresses(workloadOf(client), ...parts);
  }

  /**
   * Asks in rounds until `done`; nobody but `expected` may answer, in any round. One round is not enough: on a busy machine
   * an endpoint may be slow once, and is then passed over for a while, as it should be.
   */
  async function askUntil(vip: string, done: (answers: Set<unknown>) => boolean, expected: string[]): Promise<void> {
    const answers = new Set<unknown>();
    for (let round = 0; round < 200 && !done(answers); round++) {
      const asked = Array.from({ length: 20 }, () => pods.ask(client, vip, 80));
      for (const answer of await Promise.all(asked)) answers.add(answer);
      assert.deepEqual(
        [...answers].filter((answer) => !expected.includes(answer as string)),
        [],
      );
      if (!done(answers)) await setTimeout(100);
    }
    assert.ok(done(answers), `only ${[...answers].join(', ')} answered`);
  }

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    client = await pods.add('front/client', 2);
    webs = await Promise.all([11, 12, 13].map((n) => pods.add(`shop/web-${n}`, n)));
    bare = await pods.add('shop/bare', 20);
    gateway = await pods.add('infra/gateway', 30);
    outsider = await pods.add('out/outsider', 40);
    near = startTestDataPart(
      authority,
      { tryTimeoutMs: 1000, connectTimeoutMs: 3000, suspectMs: 2000, waypointDrainMs: 200, halfCloseTimeoutMs: 2500 },
      {
        nameQuery: async (_, family) =>
          (await nameAnswer()).filter(({ address }) => address.includes(':') === (family === 6)),
      },
    );
    far = startTestDataPart(authority, {}, { network: farNetwork });
    far.setAddresses(...webs.map((pod) => inService(pod, { network: farNetwork })), {
      ...web,
      addresses: vips.map((ip) => ({ network: farNetwork, ip })),
    });
    await pods.enrol(client, near);
    for (const pod of webs) {
      await pods.enrol(pod, far);
      await pods.echo(pod, appPort);
    }
    await pods.echo(outsider, 7000);
  });

  beforeEach(() => {
    near.log.length = 0;
    far.log.length = 0;
    // The client's far side is in the same network, but for the tests of networks.
    nearSees(web, ...webs.map((pod) => inService(pod)));
  });

  after(async () => {
    await Promise.all([near?.drain(10), far?.drain(10)]);
    await pods?.close();
  });

  for (const vip of vips) {
    test(`a service at ${vip} is served by all of its pods, over tunnels of the same family`, async () => {
      near.log.length = 0;
      await askUntil(vip, (answers) => answers.size === 3, ['web-11:ping', 'web-12:ping', 'web-13:ping']);
      await near.logLine(vip.includes(':') ? /dst\.addr=\[fd00:244::[b-d]\]:15008/ : /dst\.addr=10\.244\.0\.1\d:15008/);
    });

    test(`an endpoint of ${vip} that refuses 15008 is replaced before the client notices, and avoided for a while`, async () => {
      nearSees(web, inService(bare), inService(webs[0] as TestPod));
      const answers = await Promise.all(Array.from({ length: 20 }, () => pods.ask(client, vip, 80)));
      assert.deepEqual(new Set(answers), new Set(['web-11:ping']));
      assert.equal(
        near.log.some((line) => line.includes('error')),
        false,
      );
    });
  }

  for (const vip of vips) {
    const ipOf = (pod: TestPod): string => (vip.includes(':') ? pod.ip6 : pod.ip4);

    test(`an endpoint whose application does not listen is replaced as well, over ${familyOf(vip)}`, async () => {
      const deaf = { ...web, ports: [{ servicePort: 80, targetPort: appPort, appProtocol: 'unknown' as const }] };
      const ports = [{ servicePort: 80, targetPort: 9999, appProtocol: 'unknown' as const }];
      nearSees(
        deaf,
        inService(webs[1] as TestPod, { services: new Map([[webKey, ports]]) }),
        inService(webs[0] as TestPod),
      );
      const refused = /error="Cannot connect to .*:9999: ECONNREFUSED: nothing in the pod listens on port 9999/;
      await askUntil(vip, () => far.log.some((line) => refused.test(line)), ['web-11:ping']);
    });

    test(`an endpoint that swallows packets costs a moment, not a connect timeout, over ${familyOf(vip)}`, async () => {
      await bare.space.exec(
        'nft',
        // Neighbours are still found: without, packets would be refused.
        'add table inet hole; add chain inet hole in { type filter hook input priority 0; }; add rule inet hole in meta l4proto tcp drop',
      );
      try {
        nearSees(web, inService(bare), inService(webs[0] as TestPod));
        const answers = await Promise.all(Array.from({ length: 10 }, () => pods.ask(client, vip, 80)));
        assert.deepEqual(new Set(answers), new Set(['web-11:ping']));
        nearSees(web, inService(bare));
        assert.equal(await pods.ask(client, vip, 80), undefined);
        await near.logLine(/error=".*(a NetworkPolicy may block port 15008|blocks? port 15008).*"/);
      } finally {
        await bare.space.exec('nft', 'delete table inet hole');
      }
    });

    test(`when none of them can be reached the log says how many were tried, and why the last one failed, over ${familyOf(vip)}`, async () => {
      nearSees(web, inService(bare), inService(outsider));
      assert.equal(await pods.ask(client, vip, 80), undefined);
      await near.logLine(
        /error="none of 2 endpoints of web\.shop\.svc\.cluster\.local could be reached; the last: .*15008: ECONNREFUSED.*"/,
      );
    });

    test(`a refusal by policy is not tried elsewhere, over ${familyOf(vip)}`, async () => {
      far.setPolicies([testPolicy('closed', 'deny', { namespaces: [{ kind: 'exact', value: 'front' }] })]);
      assert.equal(await pods.ask(client, vip, 80), undefined);
      await near.logLine(/http status: 401/);
      assert.equal(far.log.filter((line) => line.includes('explicitly denied')).length, 1);
      far.setPolicies([], ['shop/closed']);
    });

    test(`an application that listens on loopback alone is named in the log of the client, over ${familyOf(vip)}`, async () => {
      const pod = webs[0] as TestPod;
      const loopback = vip.includes(':') ? '::1' : '127.0.0.1';
      await pods.echo(pod, 9100, loopback);
      assert.equal(await pods.ask(client, ipOf(pod), 9100), undefined);
      await near.logLine(
        vip.includes(':')
          ? /http status: 503 .*the application listens on (127\.0\.0\.1 and )?::1 only, not on the pod's address/
          : /http status: 503 .*the application listens on 127\.0\.0\.1 only, not on the pod's address/,
      );
    });
  }

  describe('another network', () => {
    const remote = meshWorkload({
      name: 'remote',
      network: farNetwork,
      networkGateway: gatewayNamed('gateway'),
      services: new Map([[webKey, []]]),
    });
    const sans = ['spiffe://cluster.local/ns/shop/sa/web-11'];

    for (const [family, vip] of [
      ['IPv4', vips[0]],
      ['IPv6', vips[1]],
    ] as const) {
      test(`is reached by a tunnel inside of a tunnel over ${family}`, async () => {
        const target = webs[0] as TestPod;
        const peer = await startHbonePeer({
          pod: gateway,
          certificate: await authority.certificate('infra/gateway'),
          carry: (request) => carryTo(request, gateway, family === 'IPv4' ? target.ip4 : target.ip6, 15008),
        });
        try {
          nearSees({ ...web, subjectAltNames: sans }, remote, gatewayService, gatewayPod());
          const texts = Array.from({ length: 20 }, (_, i) => `${i}-${'x'.repeat(50_000)}`);
          const answers = await Promise.all(texts.map((text) => pods.ask(client, vip as string, 80, text)));
          assert.ok(
            answers.every((answer, i) => answer === `web-11:${texts[i]}`),
            near.log.join('\n'),
          );
          assert.equal(peer.connections, 1, 'the outer connection is pooled');
          assert.deepEqual(
            new Set(peer.requests.map(({ authority: asked }) => asked)),
            new Set(['web.shop.svc.cluster.local:80']),
          );
          assert.equal(peer.requests[0]?.headers.has('x-forwarded-network'), false, 'the gateway is not told');
          await near.logLine(
            /dst\.hbone_addr=web\.shop\.svc\.cluster\.local:80 .*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web-11"/,
          );
          // The address that it comes from is the gateway's: who called is known by what it says, and by its certificate.
          await far.logLine(
            /src\.workload="client" src\.namespace="front".*src\.identity="spiffe:\/\/cluster\.local\/ns\/front\/sa\/client".*direction="inbound"/,
          );
          assert.match(
            await near.metrics(),
            /istio_tcp_connections_opened_total\{reporter="source".*destination_workload="web-11"/,
          );
        } finally {
          await peer.close();
        }
      });
    }

    for (const vip of vips)
      test(`answers of somebody that the service does not vouch for are refused, over ${familyOf(vip)}`, async () => {
        const target = webs[1] as TestPod;
        const peer = await startHbonePeer({
          pod: gateway,
          certificate: await authority.certificate('infra/gateway'),
          carry: (request) => carryTo(request, gateway, vip.includes(':') ? target.ip6 : target.ip4, 15008),
        });
        nearSees({ ...web, subjectAltNames: sans }, remote, gatewayService, gatewayPod());
        assert.equal(await pods.ask(client, vip, 80), undefined);
        await near.logLine(/error=".*Cannot finish the TLS handshake: .*"/);
        await peer.close();
      });
  });

  describe('waypoints', () => {
    const guarded = { ...web, waypoint: gatewayNamed('gateway') };

    test('get the original destination, from the identity of the pod, in both families', async () => {
      const peer = await startHbonePeer({
        pod: gateway,
        certificate: await authority.certificate('infra/gateway'),
        carry: (request) => answerWith(request, 'from the waypoint'),
      });
      nearSees(guarded, ...webs.map((pod) => inService(pod)), gatewayService, gatewayPod());
      for (const vip of vips) assert.equal(await pods.ask(client, vip, 80), 'from the waypoint');
      assert.deepEqual(
        peer.requests.map(({ authority: asked, from }) => `${asked} ${from}`),
        ['10.96.0.10:80', '[fd00:96::10]:80'].map((asked) => `${asked} spiffe://cluster.local/ns/front/sa/client`),
      );
      await peer.close();
    });

    test('that are not there refuse, and are never bypassed', async () => {
      nearSees(guarded, ...webs.map((pod) => inService(pod)));
      for (const vip of vips) assert.equal(await pods.ask(client, vip, 80), undefined);
      await near.logLine(
        /error="waypoint infra\/gateway\.infra\.svc\.cluster\.local is required and has no ready endpoint"/,
      );
    });

    for (const vip of vips)
      test(`that become required move live connections over within the drain time, over ${familyOf(vip)}`, async () => {
        const live = await pods.connect(client, vip, 80);
        live.resume();
        live.write('x');
        await once(live, 'data');
        const direct = await pods.connect(client, (webs[0] as TestPod)[vip.includes(':') ? 'ip6' : 'ip4'], appPort);
        direct.resume();
        direct.write('x');
        await once(direct, 'data');
        const cut = closed(live);
        near.setAddresses(guarded);
        await cut;
        await near.logLine(
          /error="connection closed: a waypoint became required on the way to (10\.96\.0\.10|fd00:96::10)"/,
        );
        assert.equal(direct.destroyed, false, 'the waypoint of a service is not one of its pods');
        direct.destroy();
      });
  });

  for (const family of ['ip4', 'ip6'] as const) {
    const ipOf = (pod: TestPod): string => pod[family];
    const hold = async (ip: string): Promise<{ readonly cut: Promise<boolean> }> => {
      const live = await pods.connect(client, ip, 7000);
      live.resume();
      live.write('x');
      await once(live, 'data');
      return { cut: closed(live) };
    };

    test(`REGISTRY_ONLY refuses what nobody registered, and ends live connections to it; the mesh stays reachable, by ${family}`, async () => {
      const { cut } = await hold(ipOf(outsider));
      near.setAddresses(workloadOf(client, { outboundMode: 'registry-only' }));
      await cut;
      await near.logLine(
        /error="connection closed: (10\.244\.0\.40|fd00:244::28) is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY"/,
      );
      assert.equal(await pods.ask(client, ipOf(outsider), 7000), undefined);
      await near.logLine(
        /error="(10\.244\.0\.40|\[fd00:244::28\]):7000 is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY: .*"/,
      );
      assert.match((await pods.ask(client, vips[family === 'ip4' ? 0 : 1] as string, 80)) ?? '', /^web-/);
      near.setAddresses(workloadOf(client));
      assert.equal(await pods.ask(client, ipOf(outsider), 7000), 'outsider:ping');
    });

    test(`REGISTRY_ONLY ends live connections to what leaves the registry, by ${family}`, async () => {
      const strict = workloadOf(client, { outboundMode: 'registry-only' });
      const loadBalancing = { mode: 'passthrough', routingPreference: [], healthPolicy: 'allow-all' } as const;
      const open = { ...web, addresses: [{ network: defaultNetwork, ip: ipOf(outsider) }], loadBalancing };
      const plain = workloadOf(outsider, { tunnelProtocol: 'none' });
      for (const entry of [open, plain]) {
        nearSees(strict, entry);
        const { cut } = await hold(ipOf(outsider));
        near.send({ kind: 'addresses', update: { updated: [], removed: [webKey, plain.uid] } });
        await cut;
      }
      near.setAddresses(workloadOf(client));
    });

    test(`what passed through goes to the waypoint that its address comes to have, by ${family}`, async () => {
      const { cut } = await hold(ipOf(outsider));
      near.setAddresses({
        ...web,
        addresses: [{ network: defaultNetwork, ip: ipOf(outsider) }],
        waypoint: gatewayNamed('gateway'),
      });
      await cut;
      await near.logLine(/error="connection closed: a waypoint became required on the way to /);
    });
  }

  test('a workload that is known by name is resolved when it is dialled; a name without answer is refused in time', async () => {
    const named = meshWorkload({
      name: 'remote',
      hostname: 'db.example.com',
      tunnelProtocol: 'none',
      services: new Map([[webKey, [{ servicePort: 80, targetPort: 7000, appProtocol: 'unknown' }]]]),
    });
    nameAnswer = async () => [outsider.ip4, outsider.ip6].map((address) => ({ address, ttlSeconds: 60 }));
    nearSees(web, named);
    for (const vip of vips) {
      near.log.length = 0;
      assert.equal(await pods.ask(client, vip, 80), 'outsider:ping');
      await near.logLine(vip.includes(':') ? /dst\.addr=\[fd00:244::28\]:7000/ : /dst\.addr=10\.244\.0\.40:7000/);
    }
    nearSees(web, { ...named, hostname: 'nobody.example.com' });
    nameAnswer = async () => [];
    for (const vip of vips) assert.equal(await pods.ask(client, vip, 80), undefined);
    await near.logLine(/error="Cannot resolve "?\\?"?nobody\.example\.com.*"/);
  });

  test('calls to the listeners of the proxy itself are refused, whatever address they are made to', async () => {
    // An address of the pod that the mesh does not know: a connection to it would pass through, to ourselves.
    await client.space.exec('ip', 'addr', 'add', '10.99.0.1/32', 'dev', 'eth0');
    for (const ip of [client.ip4, client.ip6, '10.99.0.1']) {
      for (const port of [15001, 15006]) {
        assert.equal(await pods.ask(client, ip, port), undefined);
      }
    }
    assert.ok(
      (await near.report()).pods.every(({ connectionCount }) => connectionCount < 3),
      'nothing goes round in circles',
    );
  });

  describe('half-close', () => {
    test('works in every order, through a tunnel and past the mesh', async () => {
      await pods.serve(outsider, { port: 7001 }, ({ socket }) => socket.resume().end('first'));
      await pods.serve(webs[0] as TestPod, { port: 7001 }, ({ socket }) => socket.resume().end('first'));
      await pods.serve(outsider, { port: 7002 }, ({ socket }) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.on('end', () => socket.end(`got ${text.length}`));
        socket.resume();
      });
      for (const ip of [outsider.ip4, outsider.ip6, (webs[0] as TestPod).ip4, (webs[0] as TestPod).ip6]) {
        // The server ends first; the client still talks, then ends too.
        const socket = await pods.connect(client, ip, 7001);
        let text = '';
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.resume();
        await once(socket, 'end');
        assert.equal(text, 'first');
        const over = closed(socket);
        socket.write('still here');
        socket.end();
        assert.equal(await over, false, 'an orderly end');
      }
      // The client ends first, and gets its answer afterwards.
      for (const ip of [outsider.ip4, outsider.ip6]) {
        assert.equal(await pods.ask(client, ip, 7002, 'x'.repeat(100_000)), 'got 100000');
        assert.equal(await pods.ask(client, ip, 7002, ''), 'got 0');
      }
    });

    test('with nobody on the other half ends at the timeout', async () => {
      await pods.serve(outsider, { port: 7003 }, ({ socket }) => socket.resume());
      for (const ip of [outsider.ip4, outsider.ip6]) {
        const socket = await pods.connect(client, ip, 7003);
        const over = closed(socket);
        socket.resume();
        socket.end('x');
        assert.equal(await over, true);
      }
      await near.logLine(/error="connection closed: one side ended, and the other was silent for 2\.5 s"/);
    });
  });

  for (const [i, vip] of vips.entries()) {
    test(`a pod at its limit is refused with the reason, the others go on, and it is served again when connections end, over ${familyOf(vip)}`, async () => {
      const limited = startTestDataPart(authority, { maxPodConnections: 5 });
      const busy = await pods.add(`front/busy-${i}`, 3 + 2 * i);
      const calm = await pods.add(`front/calm-${i}`, 4 + 2 * i);
      limited.setAddresses(workloadOf(busy), workloadOf(calm), web, ...webs.map((pod) => inService(pod)));
      for (const pod of [busy, calm]) await pods.enrol(pod, limited);
      const open = await Promise.all(Array.from({ length: 5 }, () => pods.connect(busy, vip, 80)));
      for (const socket of open) {
        socket.resume();
        await once(socket, 'data');
      }
      assert.equal(await pods.ask(busy, vip, 80), undefined);
      await limited.logLine(/error="Cannot take connection: pod front\/busy-\d has 5 connections, which is its limit"/);
      assert.match((await pods.ask(calm, vip, 80)) ?? '', /^web-/);
      for (const socket of open) socket.destroy();
      await limited.logLine(/connection complete.*src\.workload="busy-\d"/);
      for (let i = 0; i < 1000 && (await limited.connections(uidOf(busy), 'outbound')).length > 0; i++) {
        await setTimeout(20);
      }
      assert.match((await pods.ask(busy, vip, 80)) ?? '', /^web-/);
      await limited.drain(10);
    });
  }
});
