import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { serviceKey, type NetworkId } from '../api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload, ServicePort } from '../api/workload.ts';
import { MeshState } from '../mesh/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../mesh/fixtures.ts';
import { ipv4 } from './addresses.ts';
import { drawEndpoint } from './draw.ts';
import { planInboundConnect, planInboundPlaintext, tryParseAuthority, type InboundPlan } from './inbound.ts';
import { planOutbound } from './outbound.ts';
import type { OutboundPlan } from './outbound-plan.ts';
import { rankEndpoints, type RankRequest } from './ranked-endpoints.ts';

const ownPorts = new Set([15001, 15006, 15008]);
const client = meshWorkload({ name: 'client', addresses: ['10.244.1.2'] });
const vip = [{ network: defaultNetwork, ip: '10.96.0.10' }];
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const web = meshService({ addresses: vip });
const gateway: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'shop', hostname: 'waypoint.shop.svc.cluster.local' },
  hboneMtlsPort: 15008,
};
const waypointKey = serviceKey('shop', 'waypoint.shop.svc.cluster.local');
const waypointService = meshService({
  name: 'waypoint',
  addresses: [{ network: defaultNetwork, ip: '10.96.0.99' }],
  ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'unknown' }],
});
const waypointPod = meshWorkload({
  name: 'waypoint',
  serviceAccount: 'waypoint',
  addresses: ['10.244.2.99'],
  services: new Map([[waypointKey, []]]),
});

function pod(n: number, more: Partial<MeshWorkload> = {}): MeshWorkload {
  return meshWorkload({
    name: `web-${n}`,
    addresses: [`10.244.2.${n}`],
    serviceAccount: 'web',
    services: new Map([[webKey, []]]),
    ...more,
  });
}

function meshOf(...parts: (MeshWorkload | MeshService)[]): MeshState {
  const state = new MeshState();
  const updated = parts.map((part) =>
    'uid' in part ? { kind: 'workload' as const, workload: part } : { kind: 'service' as const, service: part },
  );
  state.applyAddresses({ updated, removed: [] });
  return state;
}

function pickEndpoint({
  random,
  ...request
}: Omit<RankRequest, 'clientFamilies'> & { random: () => number }): { workload: MeshWorkload } | undefined {
  return drawEndpoint(rankEndpoints({ ...request, clientFamilies: ipv4 }), random);
}

function outbound(mesh: MeshState, destinationIp: string, destinationPort: number, own = client): OutboundPlan {
  return planOutbound({
    mesh,
    own,
    sourceIp: '10.244.1.2',
    destinationIp,
    destinationPort,
    random: () => 0.5,
    hbonePort: 15008,
    ownPorts,
  });
}

test('a pod address goes by HBONE to the pod, expecting its identity', () => {
  const target = pod(3);
  const plan = outbound(meshOf(client, target), '10.244.2.3', 8080);
  assert.deepEqual(plan, {
    kind: 'hbone',
    ip: '10.244.2.3',
    port: 15008,
    authority: '10.244.2.3:8080',
    expected: ['spiffe://cluster.local/ns/shop/sa/web'],
    workload: target,
    service: undefined,
    via: 'direct',
    drawn: undefined,
  });
});

test('a virtual address goes to an endpoint at its target port, and the service vouches for more identities', () => {
  const vouching = { ...web, subjectAltNames: ['spiffe://td/ns/a/sa/b', 'not-an-identity'] };
  const plan = outbound(meshOf(client, pod(3), vouching), '10.96.0.10', 80);
  assert.equal(plan.kind === 'hbone' && plan.authority, '10.244.2.3:8080');
  assert.deepEqual(plan.kind === 'hbone' && plan.expected, [
    'spiffe://cluster.local/ns/shop/sa/web',
    'spiffe://td/ns/a/sa/b',
  ]);
});

test('a workload outside the mesh is dialled in plain text, the unknown passes through', () => {
  const mesh = meshOf(client, pod(3, { tunnelProtocol: 'none' }), web);
  assert.equal(outbound(mesh, '10.96.0.10', 80).kind, 'tcp');
  assert.deepEqual(outbound(mesh, '1.1.1.1', 443), {
    kind: 'passthrough',
    ip: '1.1.1.1',
    port: 443,
    service: undefined,
  });
});

test('a service without an endpoint, or without the port, refuses and says which', () => {
  const nobody = outbound(meshOf(client, web), '10.96.0.10', 80);
  assert.equal(
    nobody.kind === 'refuse' && nobody.message,
    'no healthy endpoint of web.shop.svc.cluster.local: it has none',
  );
  const unhealthy = outbound(meshOf(client, web, pod(3, { status: 'unhealthy' })), '10.96.0.10', 80);
  assert.equal(unhealthy.kind === 'refuse' && unhealthy.reason, 'no-healthy-upstream');
  const port = outbound(meshOf(client, web, pod(3)), '10.96.0.10', 81);
  assert.equal(port.kind === 'refuse' && port.message, 'service web.shop.svc.cluster.local has no port 81');
});

test('a call to our own listeners by loopback is refused', () => {
  assert.equal(outbound(meshOf(client), '127.0.0.1', 15001).kind, 'refuse');
});

test('a passthrough service goes to the original destination', () => {
  const open = {
    ...web,
    loadBalancing: { mode: 'passthrough' as const, routingPreference: [], healthPolicy: 'allow-all' as const },
  };
  assert.equal(outbound(meshOf(client, open), '10.96.0.10', 80).kind, 'passthrough');
});

test('a waypoint gets the connection with the original authority', () => {
  const mesh = meshOf(client, pod(3), { ...web, waypoint: gateway }, waypointService, waypointPod);
  const plan = outbound(mesh, '10.96.0.10', 80);
  assert.equal(
    plan.kind === 'hbone' && `${plan.via} ${plan.ip}:${plan.port} ${plan.authority}`,
    'waypoint 10.244.2.99:15008 10.96.0.10:80',
  );
  assert.deepEqual(plan.kind === 'hbone' && plan.expected, ['spiffe://cluster.local/ns/shop/sa/waypoint']);
});

test('a workload waypoint serves pod addresses only', () => {
  const mesh = meshOf(client, pod(3, { waypoint: gateway }), web, waypointService, waypointPod);
  assert.equal((outbound(mesh, '10.244.2.3', 8080) as { via?: string }).via, 'waypoint');
  assert.equal((outbound(mesh, '10.96.0.10', 80) as { via?: string }).via, 'direct');
});

test('a required waypoint that is absent refuses; the waypoint itself is exempt', () => {
  const mesh = meshOf(client, pod(3), { ...web, waypoint: gateway }, waypointService, {
    ...waypointPod,
    status: 'unhealthy',
  });
  const plan = outbound(mesh, '10.96.0.10', 80);
  assert.equal(plan.kind === 'refuse' && plan.reason, 'waypoint-absent');
  assert.equal(
    (outbound(mesh, '10.96.0.10', 80, { ...waypointPod, status: 'unhealthy' }) as { via?: string }).via,
    'direct',
  );
});

test('another network that no gateway joins is refused, and said so', () => {
  const mesh = meshOf(client, web, pod(3, { network: 'far' as NetworkId }));
  const plan = outbound(mesh, '10.96.0.10', 80);
  assert.equal(plan.kind === 'refuse' && plan.reason, 'remote-network');
});

test('the endpoint port map beats the target port', () => {
  const ports: ServicePort[] = [{ servicePort: 80, targetPort: 9999, appProtocol: 'unknown' }];
  const plan = outbound(meshOf(client, web, pod(3, { services: new Map([[webKey, ports]]) })), '10.96.0.10', 80);
  assert.equal(plan.kind === 'hbone' && plan.authority, '10.244.2.3:9999');
});

test('endpoints are drawn by capacity, and strict locality never falls back', () => {
  const mesh = meshOf(client, web, pod(3, { capacity: 1 }), pod(4, { capacity: 3 }), pod(5, { capacity: 0 }));
  const draw = (random: number): string | undefined =>
    pickEndpoint({ mesh, service: web, servicePort: 80, client, random: () => random })?.workload.name;
  assert.deepEqual([0, 0.24, 0.26, 0.99].map(draw), ['web-3', 'web-3', 'web-4', 'web-4']);
  const strict = {
    ...web,
    loadBalancing: {
      mode: 'strict' as const,
      routingPreference: ['node' as const],
      healthPolicy: 'only-healthy' as const,
    },
  };
  const far = meshOf(client, strict, pod(3, { node: 'node-2' }));
  assert.equal(pickEndpoint({ mesh: far, service: strict, servicePort: 80, client, random: () => 0 }), undefined);
});

test('failover prefers the same network, then the longest run of matching scopes', () => {
  const failover = {
    ...web,
    loadBalancing: {
      mode: 'failover' as const,
      routingPreference: ['network', 'region', 'zone'] as const,
      healthPolicy: 'only-healthy' as const,
    },
  };
  const local = meshWorkload({ ...client, locality: { region: 'r', zone: 'z', subzone: '' } });
  const near = pod(3, { locality: { region: 'r', zone: 'x', subzone: '' } });
  const far = pod(4, { locality: { region: 'q', zone: 'z', subzone: '' } });
  const remote = pod(5, { network: 'far' as NetworkId, locality: local.locality });
  const pick = (...pods: MeshWorkload[]): string | undefined =>
    pickEndpoint({
      mesh: meshOf(failover, ...pods),
      service: failover,
      servicePort: 80,
      client: local,
      random: () => 0.99,
    })?.workload.name;
  assert.equal(pick(near, far, remote), 'web-3');
  assert.equal(pick(far, remote), 'web-4');
});

const own = pod(3);

function inbound(mesh: MeshState, authority: string, self = own): InboundPlan {
  return planInboundConnect({ mesh, own: self, localIp: '10.244.2.3', authority, ownPorts });
}

const refusals: [string, string, number, string][] = [
  ['no port', '10.244.2.3', 400, 'bad-authority'],
  ['port 0', '10.244.2.3:0', 400, 'bad-authority'],
  ['port beyond 65535', '10.244.2.3:65536', 400, 'bad-authority'],
  ['nothing', '', 400, 'bad-authority'],
  ['userinfo', 'user@10.244.2.3:80', 400, 'bad-authority'],
  ['a broken address', '10.244.2.256:80', 400, 'bad-authority'],
  ['another address', '10.244.2.4:80', 400, 'wrong-destination'],
  ['an unknown name', 'x.shop.svc.cluster.local:80', 503, 'unknown-service'],
  ['an unknown port', 'web.shop.svc.cluster.local:81', 503, 'unknown-port'],
  ['our own port', '10.244.2.3:15006', 503, 'self-call'],
];
for (const [name, authority, status, reason] of refusals) {
  test(`inbound CONNECT with ${name} is refused with ${status} ${reason}`, () => {
    const plan = inbound(meshOf(own, web), authority);
    assert.deepEqual(plan.kind === 'refuse' && [plan.status, plan.reason], [status, reason]);
  });
}

test('inbound by address keeps the port, by name takes the target port', () => {
  const mesh = meshOf(own, web);
  assert.deepEqual(inbound(mesh, '10.244.2.3:8080'), {
    kind: 'accept',
    ip: '10.244.2.3',
    port: 8080,
    service: web,
    applicationTunnel: undefined,
    asked: { ip: '10.244.2.3', port: 8080 },
  });
  assert.deepEqual(inbound(mesh, 'web.shop.svc.cluster.local:80'), {
    kind: 'accept',
    ip: '10.244.2.3',
    port: 8080,
    service: web,
    applicationTunnel: undefined,
    asked: { ip: '10.96.0.10', port: 80 },
  });
});

test('a waypoint takes connections for what it guards', () => {
  const self = { ...waypointPod, addresses: ['10.244.2.3'] };
  assert.equal(
    inbound(meshOf(self, pod(4), { ...web, waypoint: gateway }, waypointService), '10.96.0.10:80', self).kind,
    'accept',
  );
  assert.equal(inbound(meshOf(self, pod(4), web, waypointService), '10.96.0.10:80', self).kind, 'refuse');
});

test('plaintext to a listener of ours is refused, anything else keeps its destination', () => {
  const facts = { mesh: meshOf(own, web), own, destinationIp: '10.244.2.3', ownPorts };
  assert.equal(planInboundPlaintext({ ...facts, destinationPort: 15001 }).kind, 'refuse');
  assert.equal(planInboundPlaintext({ ...facts, destinationPort: 8080 }).kind, 'accept');
});

test('authorities parse to what they were made of, and nothing throws', () => {
  assert.deepEqual(tryParseAuthority('[fd00::1]:80'), { kind: 'address', ip: 'fd00::1', port: 80 });
  assert.deepEqual(tryParseAuthority('[::ffff:10.0.0.1]:80'), { kind: 'address', ip: '10.0.0.1', port: 80 });
  assert.deepEqual(tryParseAuthority('Web.shop:80'), { kind: 'hostname', hostname: 'web.shop', port: 80 });
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 1, max: 65535 }), fc.string(), (ip, port, junk) => {
      assert.deepEqual(tryParseAuthority(`${ip}:${port}`), { kind: 'address', ip, port });
      tryParseAuthority(junk);
    }),
    { seed: 3 },
  );
});
