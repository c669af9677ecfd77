/** Which endpoint serves a connection, in IPv4 and in IPv6: places, health, ports, names, networks, and whose address it is. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { serviceKey, type NetworkId } from '../../src/api/names.ts';
import type { GatewayAddress, LoadBalancing, MeshService, MeshWorkload, ServicePort } from '../../src/api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { answerWith, carryTo, startHbonePeer } from './hbone-peer.ts';
import { TestPods, type TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const appPort = 9080;
const plainPort = 7000;
const farNetwork = 'far' as NetworkId;
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const vips = { IPv4: ['10.96.0.10', '10.96.0.11'], IPv6: ['fd00:96::10', 'fd00:96::11'] } as const;
const web = meshService({
  addresses: [...vips.IPv4, ...vips.IPv6].map((ip) => ({ network: defaultNetwork, ip })),
  ports: [{ servicePort: 80, targetPort: appPort, appProtocol: 'unknown' }],
  ipFamilies: 'dual',
});
const hostOf = (name: string): string => `${name}.infra.svc.cluster.local`;
const gatewayNamed = (name: string): GatewayAddress => ({
  destination: { kind: 'hostname', namespace: 'infra', hostname: hostOf(name) },
  hboneMtlsPort: 15008,
});
const gatewayService = (name: string): MeshService =>
  meshService({
    name,
    namespace: 'infra',
    ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'unknown' }],
  });
const portMap = (targetPort: number): ServicePort[] => [{ servicePort: 80, targetPort, appProtocol: 'unknown' }];
const passthrough: LoadBalancing = { mode: 'passthrough', routingPreference: [], healthPolicy: 'allow-all' };

function workloadOf(pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload {
  const { name, namespace, serviceAccount, ip4, ip6 } = pod;
  return meshWorkload({ name, namespace, serviceAccount, addresses: [ip4, ip6], ...more });
}

describe('endpoints', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let near: TestDataPart;
  /** Of the client that soon tries another endpoint. */
  let hasty: TestDataPart;
  let far: TestDataPart;
  let client: TestPod;
  let impatient: TestPod;
  let one: TestPod;
  let two: TestPod;
  /** In the mesh's view it speaks HBONE; nobody serves it. */
  let bare: TestPod;
  let gateway: TestPod;
  let waypoint: TestPod;
  let outsider: TestPod;
  let names: Record<4 | 6, readonly string[]> = { 4: [], 6: [] };
  let seen: string[] = [];

  const inService = (pod: TestPod, more: Partial<MeshWorkload> = {}): MeshWorkload =>
    workloadOf(pod, { services: new Map([[webKey, []]]), ...more });
  const ofGateway = (pod: TestPod, name: string, more: Partial<MeshWorkload> = {}): MeshWorkload =>
    workloadOf(pod, { services: new Map([[serviceKey('infra', hostOf(name)), []]]), ...more });

  /** The whole mesh as the client's side sees it; whatever was there before is gone. */
  function nearSees(...parts: (MeshWorkload | MeshService)[]): void {
    near.send({ kind: 'addresses', update: { updated: [], removed: seen } });
    seen = parts.map((part) => ('uid' in part ? part.uid : serviceKey(part.namespace, part.hostname)));
    near.setAddresses(...(parts.some((part) => part.name === 'client') ? [] : [workloadOf(client)]), ...parts);
  }

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    client = await pods.add('front/client', 2);
    impatient = await pods.add('front/impatient', 3);
    one = await pods.add('shop/web-1', 11);
    two = await pods.add('shop/web-2', 12);
    bare = await pods.add('shop/bare', 20);
    gateway = await pods.add('infra/gateway', 30);
    waypoint = await pods.add('infra/waypoint', 31);
    outsider = await pods.add('out/outsider', 40);
    near = startTestDataPart(
      authority,
      // On a busy machine nobody is passed over for being slow.
      { tryTimeoutMs: 20_000, suspectMs: 500 },
      {
        nameQuery: (_, family) => Promise.resolve(names[family].map((address) => ({ address, ttlSeconds: 1 }))),
      },
    );
    hasty = startTestDataPart(authority, { tryTimeoutMs: 500 });
    far = startTestDataPart(authority, {});
    far.setAddresses(...[one, two].map((pod) => inService(pod)), web);
    await pods.enrol(client, near);
    await pods.enrol(impatient, hasty);
    for (const pod of [one, two]) {
      await pods.enrol(pod, far);
      await pods.echo(pod, appPort);
    }
    await pods.echo(two, 9082);
    await pods.echo(outsider, plainPort);
  });

  beforeEach(() => {
    near.log.length = 0;
    names = { 4: [], 6: [] };
  });

  after(async () => {
    await Promise.all([near?.drain(10), hasty?.drain(10), far?.drain(10)]);
    await pods?.close();
  });

  for (const family of ['IPv4', 'IPv6'] as const) {
    describe(`over ${family}`, () => {
      const [vip, otherVip] = vips[family];
      const ipOf = (pod: TestPod): string => (family === 'IPv4' ? pod.ip4 : pod.ip6);
      const ask = (address: string = vip, port = 80): Promise<string | undefined> => pods.ask(client, address, port);
      const askMany = async (count = 12): Promise<Set<string | undefined>> =>
        new Set(await Promise.all(Array.from({ length: count }, () => ask())));

      test('each virtual address leads to all endpoints, each at its own port', async () => {
        const unnamed = { ...web, ports: portMap(0) };
        nearSees(
          unnamed,
          inService(one, { services: new Map([[webKey, portMap(appPort)]]) }),
          inService(two, { services: new Map([[webKey, portMap(9082)]]) }),
        );
        for (const address of [vip, otherVip]) {
          const answers = new Set<string | undefined>();
          for (let i = 0; i < 200 && answers.size < 2; i++) answers.add(await ask(address));
          assert.deepEqual(answers, new Set(['web-1:ping', 'web-2:ping']));
        }
        await near.logLine(/dst\.hbone_addr=\S*:9082 /);
        assert.equal(await ask(vip, 81), undefined);
        await near.logLine(/error="service web\.shop\.svc\.cluster\.local has no port 81"/);
      });

      test('services of one address are told apart by their ports', async () => {
        const other = meshService({
          name: 'other',
          addresses: web.addresses,
          ports: [{ ...portMap(plainPort)[0]!, servicePort: 81 }],
        });
        const otherKey = serviceKey('shop', other.hostname);
        nearSees(
          web,
          inService(one),
          other,
          workloadOf(outsider, { tunnelProtocol: 'none', services: new Map([[otherKey, []]]) }),
        );
        assert.equal(await ask(), 'web-1:ping');
        assert.equal(await ask(vip, 81), 'outsider:ping');
        await near.logLine(/dst\.service="other\.shop\.svc\.cluster\.local"/);
      });

      test('those nearby serve while they are ready, others then; strict places are never left', async () => {
        const at = (zone: string): Partial<MeshWorkload> => ({ locality: { region: 'r', zone, subzone: '' } });
        const failover = {
          ...web,
          loadBalancing: {
            mode: 'failover',
            routingPreference: ['network', 'region', 'zone'],
            healthPolicy: 'only-healthy',
          },
        } as const;
        const own = workloadOf(client, at('a'));
        nearSees(failover, own, inService(one, at('a')), inService(two, at('b')));
        assert.deepEqual(await askMany(), new Set(['web-1:ping']));
        nearSees(failover, own, inService(one, { ...at('a'), status: 'unhealthy' }), inService(two, at('b')));
        assert.deepEqual(await askMany(), new Set(['web-2:ping']));
        // What cannot be reached hands over to the next place, too.
        nearSees(failover, own, inService(bare, at('a')), inService(two, at('b')));
        assert.deepEqual(await askMany(), new Set(['web-2:ping']));
        const local = {
          ...web,
          loadBalancing: { mode: 'strict', routingPreference: ['node'], healthPolicy: 'only-healthy' },
        } as const;
        nearSees(local, own, inService(one, { node: 'node-1' }), inService(two, { node: 'node-2' }));
        assert.deepEqual(await askMany(), new Set(['web-1:ping']));
        nearSees(local, own, inService(two, { node: 'node-2' }));
        assert.equal(await ask(), undefined);
        await near.logLine(/error="no healthy endpoint of web\.shop.*: 1 outside of the locality/);
      });

      test('those that are not ready serve where the Service says so, and nowhere else', async () => {
        const sick = inService(one, { status: 'unhealthy' });
        nearSees(web, sick);
        assert.equal(await ask(), undefined);
        await near.logLine(/error="no healthy endpoint of web\.shop.*: 1 not ready"/);
        const open = {
          ...web,
          loadBalancing: { mode: 'unspecified', routingPreference: [], healthPolicy: 'allow-all' },
        } as const;
        nearSees(open, sick);
        assert.equal(await ask(), 'web-1:ping');
      });

      test('one outside of the mesh that refuses is replaced before the client notices', async () => {
        const plain: Partial<MeshWorkload> = {
          tunnelProtocol: 'none',
          services: new Map([[webKey, portMap(plainPort)]]),
        };
        nearSees(web, workloadOf(bare, plain), workloadOf(outsider, plain));
        assert.deepEqual(await askMany(20), new Set(['outsider:ping']));
        await near.logLine(/dst\.service="web\.shop\.svc\.cluster\.local" dst\.workload="outsider"/);
      });

      test('one that is slow serves after all when the others cannot', async () => {
        const peer = await startHbonePeer({
          pod: gateway,
          certificate: await authority.certificate('infra/gateway'),
          carry: async (request) => {
            // Longer than another one is waited for.
            await setTimeout(1500);
            answerWith(request, 'late');
          },
        });
        try {
          hasty.setAddresses(workloadOf(impatient), web, inService(gateway), inService(bare));
          const asked = Array.from({ length: 6 }, () => pods.ask(impatient, vip, 80));
          assert.deepEqual(new Set(await Promise.all(asked)), new Set(['late']));
        } finally {
          await peer.close();
        }
      });

      test('one that is known by name is reached at any of its addresses', async () => {
        const named = meshWorkload({
          name: 'named',
          hostname: `db-${family}.example.com`,
          tunnelProtocol: 'none',
          services: new Map([[webKey, portMap(plainPort)]]),
        });
        nearSees(web, named);
        const mine = family === 'IPv4' ? 4 : 6;
        names = { 4: [], 6: [], [mine]: [ipOf(bare), ipOf(outsider)] };
        assert.deepEqual(await askMany(10), new Set(['outsider:ping']));
        // Other names, since answers are kept.
        nearSees(web, { ...named, hostname: `other-${family}.example.com` });
        names = { 4: [outsider.ip4], 6: [outsider.ip6], [mine]: [ipOf(bare)] };
        assert.deepEqual(await askMany(10), new Set(['outsider:ping']), 'in the other family');
        nearSees(web, { ...named, hostname: `dead-${family}.example.com` });
        names = { 4: [], 6: [], [mine]: [ipOf(bare)] };
        assert.equal(await ask(), undefined);
        await near.logLine(/error="Cannot connect to \S+:7000: ECONNREFUSED/);
      });

      test('a name that stands for a Service of the mesh leads into its tunnels, and to all of its endpoints', async () => {
        const alias = { name: 'alias', hostname: 'alias.example.com' };
        const named = meshWorkload({
          name: 'named',
          hostname: `alias-${family}.example.com`,
          tunnelProtocol: 'none',
          services: new Map([[serviceKey('shop', alias.hostname), portMap(80)]]),
        });
        nearSees(
          meshService({ ...alias, addresses: [{ network: defaultNetwork, ip: otherVip }], ports: portMap(80) }),
          named,
          { ...web, addresses: [{ network: defaultNetwork, ip: vip }] },
          inService(bare),
          inService(one),
        );
        names = { 4: [], 6: [], [family === 'IPv4' ? 4 : 6]: [vip] };
        const answers = await Promise.all(Array.from({ length: 10 }, () => ask(otherVip)));
        assert.deepEqual(new Set(answers), new Set(['web-1:ping']));
        await near.logLine(/dst\.hbone_addr=\S+:9080 .*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web-1"/);
      });

      test('a block of addresses leads to its endpoints, and what passes through goes where it wants', async () => {
        const block = { network: defaultNetwork, ip: family === 'IPv4' ? '198.51.100.0' : '2001:db8:5::' };
        const prefixLength = family === 'IPv4' ? 24 : 64;
        nearSees({ ...web, addresses: [{ ...block, prefixLength }] }, inService(one));
        assert.equal(await ask(family === 'IPv4' ? '198.51.100.77' : '2001:db8:5::77'), 'web-1:ping');

        const everything = { network: defaultNetwork, ip: family === 'IPv4' ? '10.244.0.0' : 'fd00:244::' };
        nearSees({ ...web, addresses: [{ ...everything, prefixLength }], loadBalancing: passthrough }, workloadOf(one));
        assert.equal(await ask(ipOf(outsider), plainPort), 'outsider:ping');
        await near.logLine(/dst\.service="web\.shop\.svc\.cluster\.local" direction="outbound"/);
        // A pod of the mesh keeps its tunnel, whoever names its address.
        assert.equal(await ask(ipOf(one), appPort), 'web-1:ping');
        await near.logLine(/dst\.hbone_addr=\S+:9080 .*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web-1"/);
        const named = { ...web, addresses: [{ network: defaultNetwork, ip: ipOf(two) }], loadBalancing: passthrough };
        nearSees(named, workloadOf(two));
        assert.equal(await ask(ipOf(two), appPort), 'web-2:ping');
        await near.logLine(/dst\.hbone_addr=\S+:9080 .*dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web-2"/);
      });

      describe('with a waypoint', () => {
        const guarded = { ...web, waypoint: gatewayNamed('waypoint') };

        test('nobody else with its address takes it out of the way', async () => {
          const peer = await startHbonePeer({
            pod: waypoint,
            certificate: await authority.certificate('infra/waypoint'),
            carry: (request) => answerWith(request, `from the waypoint: ${request.authority}`),
          });
          try {
            const squatter = meshWorkload({ name: 'squatter', namespace: 'evil', addresses: [vip] });
            const itself = ofGateway(waypoint, 'waypoint');
            nearSees(guarded, inService(one), squatter, gatewayService('waypoint'), itself);
            assert.match((await ask()) ?? '', /^from the waypoint: \S+:80$/);
            // An entry whose endpoint has the very address that it is called by.
            const entry = { ...guarded, addresses: [{ network: defaultNetwork, ip: ipOf(outsider) }] };
            const endpoint = inService(outsider, { tunnelProtocol: 'none' });
            nearSees(entry, endpoint, gatewayService('waypoint'), itself);
            assert.match((await ask(ipOf(outsider), plainPort)) ?? '', /^from the waypoint: \S+:7000$/);
          } finally {
            await peer.close();
          }
        });

        test('a pod of it that cannot be reached is replaced, and so is a canary without pods', async () => {
          const peer = await startHbonePeer({
            pod: waypoint,
            certificate: await authority.certificate('infra/waypoint'),
            carry: (request) => answerWith(request, 'from the waypoint'),
          });
          try {
            const parts = [gatewayService('waypoint'), ofGateway(waypoint, 'waypoint')];
            nearSees(guarded, inService(one), ofGateway(bare, 'waypoint'), ...parts);
            assert.deepEqual(await askMany(), new Set(['from the waypoint']));
            const weightedWaypoints = [
              { destination: gatewayNamed('waypoint'), weight: 10 },
              { destination: gatewayNamed('canary'), weight: 90 },
            ];
            nearSees({ ...guarded, weightedWaypoints }, inService(one), gatewayService('canary'), ...parts);
            assert.deepEqual(await askMany(), new Set(['from the waypoint']));
          } finally {
            await peer.close();
          }
          nearSees(guarded, inService(one), ofGateway(bare, 'waypoint'), gatewayService('waypoint'));
          assert.equal(await ask(), undefined, 'it is never bypassed');
        });

        test('in another network it is reached through the gateway, and told the name', async () => {
          const asked: string[] = [];
          const inner = await startHbonePeer({
            pod: waypoint,
            certificate: await authority.certificate('infra/waypoint'),
            carry: (request) => {
              asked.push(`${request.authority} ${request.headers.get('x-forwarded-network')}`);
              answerWith(request, 'from the far waypoint');
            },
          });
          const outer = await startHbonePeer({
            pod: gateway,
            certificate: await authority.certificate('infra/gateway'),
            carry: (request) => carryTo(request, gateway, ipOf(waypoint), 15008),
          });
          try {
            nearSees(
              guarded,
              { ...gatewayService('waypoint'), subjectAltNames: ['spiffe://cluster.local/ns/infra/sa/waypoint'] },
              ofGateway(waypoint, 'waypoint', {
                addresses: [],
                network: farNetwork,
                networkGateway: gatewayNamed('gateway'),
              }),
              gatewayService('gateway'),
              ofGateway(gateway, 'gateway'),
            );
            assert.equal(await ask(), 'from the far waypoint');
            assert.deepEqual(asked, ['web.shop.svc.cluster.local:80 ']);
            assert.deepEqual(
              outer.requests.map((request) => request.authority),
              ['web.shop.svc.cluster.local:80'],
            );
          } finally {
            await Promise.all([inner.close(), outer.close()]);
          }
        });
      });

      test('one behind a gateway that is absent, or that cannot be reached, is replaced by one that can', async () => {
        const remote = (name: string, by: string): MeshWorkload =>
          meshWorkload({
            name,
            network: farNetwork,
            networkGateway: gatewayNamed(by),
            services: new Map([[webKey, []]]),
          });
        const vouched = { ...web, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/web-1'] };
        nearSees(vouched, remote('remote-1', 'absent'), inService(one));
        assert.deepEqual(await askMany(), new Set(['web-1:ping']));
        nearSees(vouched, remote('remote-1', 'dead'), gatewayService('dead'), ofGateway(bare, 'dead'), inService(one));
        assert.deepEqual(await askMany(), new Set(['web-1:ping']));
        assert.equal(
          near.log.some((line) => line.includes('error')),
          false,
        );
        nearSees(vouched, remote('remote-1', 'absent'));
        assert.equal(await ask(), undefined);
        await near.logLine(
          /error="gateway infra\/absent\.infra\.svc\.cluster\.local of network .* has no ready endpoint"/,
        );
      });
    });
  }
});
