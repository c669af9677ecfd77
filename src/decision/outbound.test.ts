import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serviceKey, type NetworkId } from '../api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import { MeshState } from '../mesh/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../mesh/fixtures.ts';
import { ipv4, ipv6 } from './addresses.ts';
import { planOutbound, violatedByChange, type OutboundRequest } from './outbound.ts';
import type { HbonePlan, OutboundPlan } from './outbound-plan.ts';

const far = 'far' as NetworkId;
const client = meshWorkload({ name: 'client', addresses: ['10.1.0.1'] });
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const web = meshService({ addresses: [{ network: defaultNetwork, ip: '10.96.0.10' }] });
const hostname = (name: string, namespace = 'shop'): GatewayAddress => ({
  destination: { kind: 'hostname', namespace, hostname: `${name}.${namespace}.svc.cluster.local` },
  hboneMtlsPort: 15008,
});

function pod(n: number, more: Partial<MeshWorkload> = {}): MeshWorkload {
  return meshWorkload({
    name: `web-${n}`,
    addresses: [`10.1.1.${n}`],
    serviceAccount: 'web',
    services: new Map([[webKey, []]]),
    ...more,
  });
}

/** A waypoint or gateway of that name: its service, and one pod. */
function gateway(name: string, namespace = 'shop', more: Partial<MeshWorkload> = {}): [MeshService, MeshWorkload] {
  const key = serviceKey(namespace, `${name}.${namespace}.svc.cluster.local`);
  return [
    meshService({ name, namespace, ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'unknown' }] }),
    meshWorkload({
      name,
      namespace,
      serviceAccount: name,
      addresses: [`10.1.2.${name.length}`],
      services: new Map([[key, []]]),
      ...more,
    }),
  ];
}

function meshOf(...parts: (MeshWorkload | MeshService)[]): MeshState {
  const mesh = new MeshState();
  const updated = parts.map((part) =>
    'uid' in part ? { kind: 'workload' as const, workload: part } : { kind: 'service' as const, service: part },
  );
  mesh.applyAddresses({ updated, removed: [] });
  return mesh;
}

function plan(mesh: MeshState, ip: string, port: number, more: Partial<OutboundRequest> = {}): OutboundPlan {
  return planOutbound({
    mesh,
    own: client,
    sourceIp: '10.1.0.1',
    destinationIp: ip,
    destinationPort: port,
    random: () => 0.5,
    hbonePort: 15008,
    ownPorts: new Set([15001, 15006, 15008]),
    ...more,
  });
}

function refusal(found: OutboundPlan): string {
  return found.kind === 'refuse' ? found.reason : found.kind;
}

function hbone(found: OutboundPlan): HbonePlan {
  assert.equal(found.kind, 'hbone', found.kind === 'refuse' ? found.message : 'another kind');
  return found as HbonePlan;
}

describe('another network', () => {
  const remote = pod(9, { addresses: [], network: far, networkGateway: hostname('ew', 'istio-system') });
  const vouched = { ...web, subjectAltNames: ['spiffe://td-far/ns/shop/sa/web'] };

  test('is reached through its gateway, by name, and only who the service vouches for may answer inside', () => {
    const found = hbone(plan(meshOf(client, vouched, remote, ...gateway('ew', 'istio-system')), '10.96.0.10', 80));
    assert.deepEqual(
      [found.via, found.ip, found.port, found.authority],
      ['gateway', '10.1.2.2', 15008, 'web.shop.svc.cluster.local:80'],
    );
    assert.deepEqual(found.expected, ['spiffe://cluster.local/ns/istio-system/sa/ew']);
    assert.deepEqual(found.innerExpected, ['spiffe://td-far/ns/shop/sa/web']);
  });

  test('is refused when the service vouches for nobody, or when the gateway is not there', () => {
    const gone = plan(meshOf(client, vouched, remote), '10.96.0.10', 80);
    assert.equal(refusal(gone), 'remote-network');
    const nobody = plan(meshOf(client, web, remote, ...gateway('ew', 'istio-system')), '10.96.0.10', 80);
    assert.equal(refusal(nobody), 'no-identity');
    assert.match(nobody.kind === 'refuse' ? nobody.message : '', /names no identity that may answer/);
  });

  test('a gateway of an endpoint in our own network is not used', () => {
    const near = pod(1, { networkGateway: hostname('ew', 'istio-system') });
    assert.equal(
      hbone(plan(meshOf(client, web, near, ...gateway('ew', 'istio-system')), '10.96.0.10', 80)).via,
      'direct',
    );
  });

  test('a gateway by address is dialled there', () => {
    const byAddress = {
      ...remote,
      networkGateway: {
        destination: { kind: 'address' as const, address: { network: far, ip: '203.0.113.1' } },
        hboneMtlsPort: 15443,
      },
    };
    const eastWest = meshWorkload({ name: 'ew', network: far, addresses: ['203.0.113.1'], serviceAccount: 'ew' });
    const found = hbone(plan(meshOf(client, vouched, byAddress, eastWest), '10.96.0.10', 80));
    assert.deepEqual([found.ip, found.port], ['203.0.113.1', 15443]);
  });

  test('a waypoint over there is reached through its gateway, and vouched for by either service', () => {
    const [service, guard] = gateway('waypoint', 'shop', {
      addresses: [],
      network: far,
      networkGateway: hostname('ew', 'istio-system'),
    });
    const guarded = { ...vouched, waypoint: hostname('waypoint') };
    const vouching = { ...service, subjectAltNames: ['spiffe://td-far/ns/shop/sa/waypoint'] };
    const found = hbone(
      plan(meshOf(client, guarded, vouching, guard, ...gateway('ew', 'istio-system')), '10.96.0.10', 80),
    );
    assert.equal(found.authority, 'web.shop.svc.cluster.local:80');
    assert.deepEqual(found.innerExpected, ['spiffe://td-far/ns/shop/sa/web', 'spiffe://td-far/ns/shop/sa/waypoint']);
  });
});

describe('endpoints behind gateways', () => {
  const vouched = { ...web, subjectAltNames: ['spiffe://td-far/ns/shop/sa/web'] };
  const behind = (n: number, gatewayName: string): MeshWorkload =>
    pod(n, { addresses: [], network: far, networkGateway: hostname(gatewayName, 'istio-system') });
  const endOf = (mesh: MeshState, more: Partial<OutboundRequest>): string => {
    const found = plan(mesh, '10.96.0.10', 80, more);
    return found.kind === 'hbone' ? `${found.via} ${found.ip}` : refusal(found);
  };
  const always = [0, 0.3, 0.6, 0.99];

  test('that are not there are passed over while another endpoint is left', () => {
    const one = meshOf(client, vouched, behind(8, 'gone'), behind(9, 'ew'), ...gateway('ew', 'istio-system'));
    const near = meshOf(client, vouched, behind(8, 'gone'), pod(1));
    for (const random of always) {
      assert.equal(endOf(one, { random: () => random }), 'gateway 10.1.2.2');
      assert.equal(endOf(near, { random: () => random }), 'direct 10.1.1.1');
    }
  });

  test('that are many behind a gateway that is not there are passed over at once', () => {
    const many = Array.from({ length: 40 }, (_, n) => behind(100 + n, 'gone'));
    const near = meshOf(client, vouched, ...many, pod(1));
    for (const random of always) assert.equal(endOf(near, { random: () => random }), 'direct 10.1.1.1');
  });

  test('that were tried, or failed a moment ago, are passed over too, and used where nothing else is left', () => {
    const [ewService, ew] = gateway('ew', 'istio-system');
    const mesh = meshOf(client, vouched, behind(9, 'ew'), pod(1), ewService, ew);
    const alone = meshOf(client, vouched, behind(9, 'ew'), ewService, ew);
    const tried = { tried: new Set([ew.uid]), anySuspect: false, isSuspect: () => false };
    const suspect = { tried: new Set<never>(), anySuspect: true, isSuspect: (uid: unknown) => uid === ew.uid };
    for (const random of always) {
      assert.equal(endOf(mesh, { avoid: tried, random: () => random }), 'direct 10.1.1.1');
      assert.equal(endOf(mesh, { avoid: suspect, random: () => random }), 'direct 10.1.1.1');
      assert.equal(endOf(alone, { avoid: suspect, random: () => random }), 'gateway 10.1.2.2');
      assert.equal(endOf(alone, { avoid: tried, random: () => random }), 'remote-network');
    }
  });

  test('of networks that no gateway joins are no endpoints', () => {
    const lost = pod(8, { network: far });
    for (const random of always)
      assert.equal(endOf(meshOf(client, vouched, lost, pod(1)), { random: () => random }), 'direct 10.1.1.1');
    const found = plan(meshOf(client, vouched, lost), '10.96.0.10', 80);
    assert.equal(refusal(found), 'remote-network');
    assert.match(
      found.kind === 'refuse' ? found.message : '',
      /none of the 1 endpoints of web\.shop.* in a network that/,
    );
  });
});

describe('whose address it is', () => {
  const guarded = { ...web, waypoint: hostname('waypoint') };
  const squatter = meshWorkload({ name: 'squatter', namespace: 'other', addresses: ['10.96.0.10'] });
  const passing = { mode: 'passthrough', routingPreference: [], healthPolicy: 'allow-all' } as const;
  const atPod = [{ network: defaultNetwork, ip: '10.1.1.1' }];
  const block = [{ network: defaultNetwork, ip: '10.1.1.0', prefixLength: 24 }];
  const way = (found: OutboundPlan): string => (found.kind === 'hbone' ? found.via : refusal(found));

  test('a workload at the address of a service takes neither its traffic nor its waypoint away', () => {
    const mesh = meshOf(client, guarded, pod(1), squatter, ...gateway('waypoint'));
    assert.equal(way(plan(mesh, '10.96.0.10', 80)), 'waypoint');
    assert.equal(refusal(plan(meshOf(client, guarded, pod(1), squatter), '10.96.0.10', 80)), 'waypoint-absent');
    assert.equal(hbone(plan(meshOf(client, web, pod(1), squatter), '10.96.0.10', 80)).authority, '10.1.1.1:8080');
    assert.equal(
      violatedByChange({ mesh, own: client, destinationIp: '10.96.0.10', destinationPort: 80 }, 'mesh'),
      'waypoint-required',
    );
  });

  test('a service whose endpoint has its own address is a service still', () => {
    const egress = { ...guarded, addresses: atPod };
    const mesh = meshOf(client, egress, pod(1, { tunnelProtocol: 'none' }), ...gateway('waypoint'));
    assert.equal(way(plan(mesh, '10.1.1.1', 80)), 'waypoint');
    const wide = meshOf(client, { ...guarded, addresses: block }, pod(1), ...gateway('waypoint'));
    assert.equal(way(plan(wide, '10.1.1.1', 80)), 'waypoint');
  });

  test('a workload in the block of a service that it is no endpoint of is itself', () => {
    const other = meshWorkload({ name: 'other', addresses: ['10.1.1.7'] });
    const mesh = meshOf(client, { ...guarded, addresses: block }, pod(1), other, ...gateway('waypoint'));
    const found = hbone(plan(mesh, '10.1.1.7', 4000));
    assert.deepEqual([found.via, found.authority, found.service], ['direct', '10.1.1.7:4000', undefined]);
    assert.equal(way(plan(mesh, '10.1.1.8', 80)), 'waypoint');
  });

  test('a service that passes through takes no pod of the mesh out of its tunnel or past its waypoint', () => {
    const open = { ...web, addresses: atPod, loadBalancing: passing };
    assert.equal(hbone(plan(meshOf(client, open, pod(1)), '10.1.1.1', 443)).authority, '10.1.1.1:443');
    const behindOne = meshOf(client, open, pod(1, { waypoint: hostname('waypoint') }), ...gateway('waypoint'));
    assert.equal(way(plan(behindOne, '10.1.1.1', 443)), 'waypoint');
    assert.equal(
      violatedByChange({ mesh: behindOne, own: client, destinationIp: '10.1.1.1', destinationPort: 80 }, 'mesh'),
      'waypoint-required',
    );
    const wide = meshOf(client, { ...open, addresses: block }, pod(1));
    assert.equal(way(plan(wide, '10.1.1.1', 443)), 'direct');
    assert.equal(plan(wide, '10.1.1.2', 443).kind, 'passthrough');
    const both = meshOf(client, { ...open, waypoint: hostname('waypoint') }, pod(1), ...gateway('waypoint'));
    assert.equal(way(plan(both, '10.1.1.1', 443)), 'waypoint');
  });
});

describe('a workload known by name', () => {
  const named = pod(1, { addresses: [], hostname: 'db.example.com', tunnelProtocol: 'none' });

  test('is resolved first, in the family that was asked for', () => {
    const found = plan(meshOf(client, web, named), '10.96.0.10', 80);
    assert.equal(found.kind, 'resolve');
    if (found.kind !== 'resolve') return;
    assert.deepEqual([found.hostname, found.allowed, found.preferred], ['db.example.com', ipv4, ipv4]);
    const located = found.withAddress('192.0.2.7');
    assert.deepEqual(located.kind === 'tcp' && [located.ip, located.port], ['192.0.2.7', 8080]);
  });

  test('that stands for something of the mesh is reached like that: in its tunnel, by its waypoint, or not at all', () => {
    const alias = meshService({ name: 'alias', hostname: 'alias.example.com', addresses: web.addresses });
    const services = new Map([[serviceKey('shop', alias.hostname), []]]);
    const byName = pod(9, { addresses: [], hostname: 'db.example.com', tunnelProtocol: 'none', services });
    const inner = { ...web, addresses: [{ network: defaultNetwork, ip: '10.96.0.20' }] };
    const ports = [{ servicePort: 8080, targetPort: 9090, appProtocol: 'unknown' as const }];
    const at = (ip: string, ...parts: (MeshWorkload | MeshService)[]): OutboundPlan => {
      const found = plan(meshOf(client, alias, byName, ...parts), '10.96.0.10', 80);
      assert.equal(found.kind, 'resolve');
      return found.kind === 'resolve' ? found.withAddress(ip) : found;
    };
    const pods = [{ ...inner, ports }, pod(1)];
    assert.deepEqual(
      [hbone(at('10.96.0.20', ...pods)).authority, hbone(at('10.96.0.20', ...pods)).drawn],
      ['10.1.1.1:9090', pod(1).uid],
    );
    assert.equal(hbone(at('10.1.1.1', ...pods)).authority, '10.1.1.1:8080');
    assert.equal(hbone(at('10.1.1.1', ...pods)).service, alias);
    const guarded = { ...inner, ports, waypoint: hostname('wp') };
    assert.equal(hbone(at('10.96.0.20', guarded, pod(1), ...gateway('wp'))).via, 'waypoint');
    assert.equal(refusal(at('10.96.0.20', guarded, pod(1))), 'waypoint-absent');
    assert.equal(at('203.0.113.9', ...pods).kind, 'tcp');
    assert.equal(at('10.96.0.10', ...pods).kind, 'tcp', 'its own address is no way round');
    const strict = { ...client, outboundMode: 'registry-only' as const };
    const outside = plan(meshOf(strict, alias, byName), '10.96.0.10', 80, { own: strict });
    assert.equal(outside.kind === 'resolve' && outside.withAddress('203.0.113.9').kind, 'tcp');
  });

  test('may be of either family where the pod has both', () => {
    const own = { ...client, addresses: ['10.1.0.1', 'fd00::1'] };
    const found = plan(meshOf(own, web, named), '10.96.0.10', 80, { own });
    assert.equal(found.kind === 'resolve' && found.allowed, ipv4 | ipv6);
  });

  test('that stands for our own listener is refused: it would come back for ever', () => {
    const loop = { ...web, ports: [{ servicePort: 80, targetPort: 15001, appProtocol: 'unknown' as const }] };
    const found = plan(meshOf(client, loop, named), '10.96.0.10', 80);
    assert.equal(found.kind === 'resolve' && refusal(found.withAddress('127.0.0.1')), 'self-call');
  });
});

describe('REGISTRY_ONLY', () => {
  const own = { ...client, outboundMode: 'registry-only' as const };

  test('refuses what is not in the registry, and says how to allow it', () => {
    const found = plan(meshOf(own), '203.0.113.5', 443, { own });
    assert.equal(refusal(found), 'registry-only');
    assert.match(
      found.kind === 'refuse' ? found.message : '',
      /203\.0\.113\.5:443 is not in the registry.*ServiceEntry/,
    );
  });

  test('lets workloads, services and passthrough services pass', () => {
    const open = {
      ...web,
      addresses: [{ network: defaultNetwork, ip: '198.51.100.0', prefixLength: 24 }],
      loadBalancing: { mode: 'passthrough' as const, routingPreference: [], healthPolicy: 'allow-all' as const },
    };
    const mesh = meshOf(own, open, pod(1));
    assert.equal(plan(mesh, '198.51.100.9', 443, { own }).kind, 'passthrough');
    assert.equal(plan(mesh, '10.1.1.1', 443, { own }).kind, 'hbone');
  });

  test('ends live connections to the unknown alone', () => {
    const mesh = meshOf(own, web, pod(1));
    const violation = (destinationIp: string, from: MeshWorkload): string | undefined =>
      violatedByChange({ mesh, own: from, destinationIp, destinationPort: 80 }, 'outside');
    assert.equal(violation('203.0.113.5', own), 'registry-only');
    assert.equal(violation('203.0.113.5', client), undefined);
    assert.equal(violation('10.96.0.10', own), undefined);
    assert.equal(violatedByChange({ mesh, own, destinationIp: '203.0.113.5', destinationPort: 80 }, 'mesh'), undefined);
  });
});

describe('waypoints', () => {
  const canary = {
    ...web,
    weightedWaypoints: [
      { destination: hostname('stable'), weight: 90 },
      { destination: hostname('canary1'), weight: 10 },
    ],
  };
  const mesh = meshOf(client, canary, pod(1), ...gateway('stable'), ...gateway('canary1'));

  test('are drawn by weight', () => {
    const ipAt = (random: number): string => hbone(plan(mesh, '10.96.0.10', 80, { random: () => random })).ip;
    assert.deepEqual([ipAt(0), ipAt(0.89), ipAt(0.91)], ['10.1.2.6', '10.1.2.6', '10.1.2.7']);
  });

  test('one that is not there leaves its share to the others, but to none without a share', () => {
    const [canaryService, canaryPod] = gateway('canary1');
    const stableGone = meshOf(client, canary, pod(1), canaryService, canaryPod);
    for (const random of [0, 0.5, 0.99])
      assert.equal(hbone(plan(stableGone, '10.96.0.10', 80, { random: () => random })).ip, '10.1.2.7');
    const idle = {
      ...canary,
      weightedWaypoints: canary.weightedWaypoints.map((one, i) => ({ ...one, weight: 1 - i })),
    };
    const found = plan(meshOf(client, idle, pod(1), canaryService, canaryPod), '10.96.0.10', 80);
    assert.equal(refusal(found), 'waypoint-absent');
  });

  test('a pod of one of them goes straight to the service, whatever the weights say', () => {
    for (const name of ['stable', 'canary1']) {
      const [, own] = gateway(name);
      for (const random of [0, 0.99]) {
        assert.equal(hbone(plan(mesh, '10.96.0.10', 80, { own, random: () => random })).via, 'direct');
      }
    }
  });

  test('one that became required concerns connections that went past it, but its own pods', () => {
    const [, own] = gateway('stable');
    assert.equal(
      violatedByChange({ mesh, own: client, destinationIp: '10.96.0.10', destinationPort: 80 }, 'mesh'),
      'waypoint-required',
    );
    assert.equal(violatedByChange({ mesh, own, destinationIp: '10.96.0.10', destinationPort: 80 }, 'mesh'), undefined);
    assert.equal(
      violatedByChange({ mesh, own: client, destinationIp: '10.1.1.1', destinationPort: 80 }, 'mesh'),
      undefined,
    );
    const guarded = meshOf(client, web, pod(1, { waypoint: hostname('stable') }), ...gateway('stable'));
    assert.equal(
      violatedByChange({ mesh: guarded, own: client, destinationIp: '10.1.1.1', destinationPort: 80 }, 'mesh'),
      'waypoint-required',
    );
    assert.equal(
      violatedByChange({ mesh: guarded, own: client, destinationIp: '10.96.0.10', destinationPort: 80 }, 'mesh'),
      undefined,
    );
  });

  test('whose pods are all tried refuse; they are never bypassed', () => {
    const tried = new Set([gateway('stable')[1].uid, gateway('canary1')[1].uid]);
    const avoid = { tried, anySuspect: false, isSuspect: () => false };
    assert.equal(refusal(plan(mesh, '10.96.0.10', 80, { avoid })), 'waypoint-absent');
  });

  test('of another IP family are no way for a client', () => {
    const only6 = meshOf(
      client,
      { ...web, waypoint: hostname('wp') },
      ...gateway('wp', 'shop', { addresses: ['fd00::9'] }),
    );
    assert.equal(refusal(plan(only6, '10.96.0.10', 80)), 'waypoint-absent');
  });
});

describe('addresses', () => {
  test("a service without an endpoint of the client's family refuses, and says so", () => {
    const found = plan(meshOf(client, web, pod(1, { addresses: ['fd00::1'] })), '10.96.0.10', 80);
    assert.equal(refusal(found), 'no-address');
    assert.match(found.kind === 'refuse' ? found.message : '', /none of the 1 endpoints of web\.shop.* by IPv4/);
  });

  test('a client of both families takes an endpoint of the other one', () => {
    const own = { ...client, addresses: ['10.1.0.1', 'fd00::1'] };
    const found = hbone(plan(meshOf(own, web, pod(1, { addresses: ['fd00::11'] })), '10.96.0.10', 80, { own }));
    assert.equal(found.authority, '[fd00::11]:8080');
  });

  test('a block of addresses belongs to its service, its port decides', () => {
    const block = { ...web, addresses: [{ network: defaultNetwork, ip: '198.51.100.0', prefixLength: 24 }] };
    assert.equal(hbone(plan(meshOf(client, block, pod(1)), '198.51.100.77', 80)).authority, '10.1.1.1:8080');
  });

  test('our own listeners are never dialled: by loopback, by our address, or where we were dialled ourselves', () => {
    const mesh = meshOf(client);
    for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '10.1.0.1'])
      assert.equal(refusal(plan(mesh, ip, 15001)), 'self-call');
    assert.equal(refusal(plan(mesh, '192.0.2.1', 15001, { listenerIp: () => '192.0.2.1' })), 'self-call');
    assert.equal(plan(mesh, '192.0.2.1', 15001).kind, 'passthrough');
    const listenerIp = (): never => assert.fail('the port is none of ours');
    assert.equal(plan(mesh, '192.0.2.1', 443, { listenerIp }).kind, 'passthrough');
  });
});

describe('a refusal says why', () => {
  const messageOf = (...pods: MeshWorkload[]): string => {
    const found = plan(meshOf(client, web, ...pods), '10.96.0.10', 80);
    return found.kind === 'refuse' ? found.message : found.kind;
  };

  test('no endpoints at all, none ready, or none that serves the port', () => {
    assert.equal(messageOf(), 'no healthy endpoint of web.shop.svc.cluster.local: it has none');
    assert.equal(
      messageOf(pod(1, { status: 'unhealthy' }), pod(2, { status: 'unhealthy' })),
      'no healthy endpoint of web.shop.svc.cluster.local: 2 not ready',
    );
    const portless = { ...web, ports: [{ servicePort: 80, targetPort: 0, appProtocol: 'unknown' as const }] };
    const found = plan(meshOf(client, portless, pod(1)), '10.96.0.10', 80);
    assert.match(found.kind === 'refuse' ? found.message : '', /that serves port 80$/);
  });
});
