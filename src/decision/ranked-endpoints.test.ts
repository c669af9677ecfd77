import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { serviceKey, type NetworkId, type WorkloadUid } from '../api/names.ts';
import type { MeshService, MeshWorkload, RoutingScope } from '../api/workload.ts';
import { MeshState } from '../mesh/index.ts';
import { meshService, meshWorkload } from '../mesh/fixtures.ts';
import { ipv4, ipv6, type IpFamilies } from './addresses.ts';
import { drawEndpoint } from './draw.ts';
import { rankEndpoints, type RankedEndpoints } from './ranked-endpoints.ts';

const key = serviceKey('shop', 'web.shop.svc.cluster.local');
const client = meshWorkload({
  name: 'client',
  addresses: ['10.0.0.1'],
  locality: { region: 'r1', zone: 'z1', subzone: '' },
});

function pod(n: number, more: Partial<MeshWorkload> = {}): MeshWorkload {
  return meshWorkload({ name: `web-${n}`, addresses: [`10.0.1.${n}`], services: new Map([[key, []]]), ...more });
}

function meshOf(service: MeshService, pods: readonly MeshWorkload[]): MeshState {
  const mesh = new MeshState();
  mesh.applyAddresses({
    updated: [{ kind: 'service', service }, ...pods.map((workload) => ({ kind: 'workload' as const, workload }))],
    removed: [],
  });
  return mesh;
}

function rank(mesh: MeshState, service: MeshService, clientFamilies: IpFamilies = ipv4): RankedEndpoints {
  return rankEndpoints({ mesh, service, servicePort: 80, client, clientFamilies });
}

const names = ({ groups }: RankedEndpoints): string[][] =>
  groups.map(({ endpoints }) => endpoints.map(({ workload }) => workload.name));

const service = meshService();
const withMode = (mode: 'strict' | 'failover', ...routingPreference: RoutingScope[]): MeshService =>
  meshService({ loadBalancing: { mode, routingPreference, healthPolicy: 'only-healthy' } });

test('one list serves all connections until the endpoints or the service change', () => {
  const mesh = meshOf(service, [pod(1), pod(2)]);
  const first = rank(mesh, service);
  assert.equal(rank(mesh, service), first);
  mesh.applyAddresses({ updated: [{ kind: 'workload', workload: meshWorkload({ name: 'other' }) }], removed: [] });
  assert.equal(rank(mesh, service), first, 'others do not matter');
  mesh.applyAddresses({ updated: [{ kind: 'workload', workload: pod(2, { status: 'unhealthy' }) }], removed: [] });
  assert.deepEqual(names(rank(mesh, service)), [['web-1']]);
  mesh.applyAddresses({ updated: [{ kind: 'workload', workload: pod(3) }], removed: [pod(1).uid] });
  assert.deepEqual(names(rank(mesh, service)), [['web-3']]);
  const open = meshService({
    loadBalancing: { mode: 'unspecified', routingPreference: [], healthPolicy: 'allow-all' },
  });
  mesh.applyAddresses({ updated: [{ kind: 'service', service: open }], removed: [] });
  assert.deepEqual(names(rank(mesh, open)), [['web-2', 'web-3']]);
});

test('an endpoint that the client cannot dial is left out before the draw', () => {
  const v6 = pod(2, { addresses: ['fd00::2'] });
  const both = pod(3, { addresses: ['10.0.1.3', 'fd00::3'] });
  const mesh = meshOf(service, [pod(1), v6, both]);
  assert.deepEqual(names(rank(mesh, service, ipv4)), [['web-1', 'web-3']]);
  assert.deepEqual(names(rank(mesh, service, ipv6)), [['web-2', 'web-3']]);
  assert.deepEqual(names(rank(mesh, service, ipv4 | ipv6)), [['web-1', 'web-2', 'web-3']]);
  assert.equal(rank(mesh, service, ipv4).leftOut.wrongFamily, 1);
  const v6Only = meshService({ ipFamilies: 'ipv6' });
  assert.deepEqual(names(rank(meshOf(v6Only, [pod(1), v6, both]), v6Only, ipv4)), []);
});

test('names, and what is behind a gateway, have no family to fit', () => {
  const named = pod(1, { addresses: [], hostname: 'db.example.com' });
  const far = pod(2, {
    addresses: [],
    network: 'far' as NetworkId,
    networkGateway: {
      destination: { kind: 'hostname', namespace: 'istio-system', hostname: 'ew' },
      hboneMtlsPort: 15008,
    },
  });
  const lost = pod(3, { addresses: [] });
  assert.deepEqual(names(rank(meshOf(service, [named, far, lost]), service)), [['web-1', 'web-2']]);
});

/** Of who is in another network. */
const networkGateway = {
  destination: { kind: 'hostname', namespace: 'infra', hostname: 'gateway.infra.svc.cluster.local' },
  hboneMtlsPort: 15008,
} as const;

test('networks that no gateway joins have no endpoints, but gateways may be there themselves', () => {
  const lost = pod(3, { network: 'far' as NetworkId });
  const mesh = meshOf(service, [lost]);
  assert.deepEqual(names(rank(mesh, service)), []);
  assert.equal(rank(mesh, service).leftOut.unjoined, 1);
  const asked = { mesh, service, servicePort: 80, client, clientFamilies: ipv4, allowTunnelPorts: true };
  assert.deepEqual(names(rankEndpoints(asked)), [['web-3']]);
});

test('strict with a leading network asks for all preferences', () => {
  const strict = withMode('strict', 'network', 'region');
  const near = pod(1, { locality: { region: 'r1', zone: '', subzone: '' } });
  const elsewhere = pod(2, { locality: { region: 'r2', zone: '', subzone: '' } });
  const far = pod(3, { network: 'far' as NetworkId, networkGateway, locality: near.locality });
  const ranked = rank(meshOf(strict, [near, elsewhere, far]), strict);
  assert.deepEqual(names(ranked), [['web-1']]);
  assert.equal(ranked.leftOut.elsewhere, 2);
});

test('a group whose endpoints all just failed hands over to the next, and suspects serve when nobody else is left', () => {
  const failover = withMode('failover', 'zone');
  const local = (n: number): MeshWorkload => pod(n, { locality: { region: '', zone: 'z1', subzone: '' } });
  const ranked = rank(meshOf(failover, [local(1), local(2), pod(3)]), failover);
  const suspects = new Set<WorkloadUid>([pod(1).uid]);
  const tried = new Set<WorkloadUid>();
  const avoid = { tried, anySuspect: true, isSuspect: (uid: WorkloadUid) => suspects.has(uid) };
  const draw = (): string | undefined => drawEndpoint(ranked, () => 0, avoid)?.workload.name;
  assert.equal(draw(), 'web-2');
  suspects.add(pod(2).uid);
  assert.equal(draw(), 'web-3');
  suspects.add(pod(3).uid);
  assert.equal(draw(), 'web-1', 'a suspect is better than nobody');
  tried.add(pod(1).uid).add(pod(2).uid);
  assert.equal(draw(), 'web-3');
  tried.add(pod(3).uid);
  assert.equal(draw(), undefined);
});

test('an application that tries every port of a service keeps a bounded number of lists', () => {
  const mesh = meshOf(service, [pod(1)]);
  for (let port = 1; port < 2000; port++) {
    rankEndpoints({ mesh, service, servicePort: port, client, clientFamilies: ipv4 });
  }
  assert.deepEqual(names(rank(mesh, service)), [['web-1']]);
});

/** The plain walk over all endpoints that the kept lists stand for. */
function plainDraw(pods: readonly MeshWorkload[], service: MeshService, random: number): string | undefined {
  const preferences = service.loadBalancing?.routingPreference ?? [];
  const value = (scope: RoutingScope, of: MeshWorkload): string =>
    scope === 'node'
      ? of.node
      : scope === 'network'
        ? of.network
        : scope === 'cluster'
          ? of.clusterId
          : of.locality[scope];
  const rankOf = (of: MeshWorkload): number => {
    let count = 0;
    for (const [i, scope] of preferences.entries()) {
      const holds = value(scope, of) === value(scope, client);
      if (i === 0 && scope === 'network') count += holds ? preferences.length : 0;
      else if (!holds) break;
      else count++;
    }
    return count;
  };
  const healthy = pods.filter(({ status, capacity }) => status === 'healthy' && capacity > 0);
  const best = Math.max(...healthy.map(rankOf));
  const nearest = healthy.filter((of) => rankOf(of) === best);
  let rest = random * nearest.reduce((sum, { capacity }) => sum + capacity, 0);
  for (const of of nearest) if ((rest -= of.capacity) < 0) return of.name;
  return undefined;
}

test('for any endpoints the kept list draws what the plain walk draws', () => {
  const scopes: RoutingScope[] = ['region', 'zone', 'node', 'network'];
  const endpoint = fc.record({
    status: fc.constantFrom('healthy' as const, 'unhealthy' as const),
    capacity: fc.integer({ min: 0, max: 5 }),
    node: fc.constantFrom('node-1', 'node-2'),
    network: fc.constantFrom('' as NetworkId, 'far' as NetworkId),
    locality: fc.record({
      region: fc.constantFrom('r1', 'r2'),
      zone: fc.constantFrom('z1', 'z2'),
      subzone: fc.constant(''),
    }),
  });
  fc.assert(
    fc.property(
      fc.array(endpoint, { maxLength: 12 }),
      fc.shuffledSubarray(scopes),
      fc.integer({ min: 0, max: 999 }),
      (parts, preferences, thousandth) => {
        const pods = parts.map((more, i) => pod(i, { networkGateway, ...more }));
        const failover = withMode('failover', ...preferences);
        const random = thousandth / 1000;
        const drawn = drawEndpoint(rank(meshOf(failover, pods), failover), () => random)?.workload.name;
        assert.equal(drawn, plainDraw(pods, failover, random));
      },
    ),
    { seed: 5, numRuns: 300 },
  );
});
