import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WaypointListener } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { unservedRefusal, waypointTarget, type TargetContext } from './waypoint-target.ts';

const hostname = 'waypoint.shop.svc.cluster.local';
const waypoint = { destination: { kind: 'hostname', namespace: 'shop', hostname }, hboneMtlsPort: 15008 } as const;
const own = meshWorkload({
  name: 'waypoint',
  serviceAccount: 'waypoint',
  addresses: ['10.244.1.9'],
  services: new Map([[serviceKey('shop', hostname), []]]),
});
const listener: WaypointListener = {
  kind: 'listener',
  type: 'waypoint',
  name: 'mesh',
  port: 15008,
  trafficType: 'all',
  policies: { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] },
  includesClientIdentity: false,
  origin: { kind: 'Gateway', namespace: 'shop', name: 'waypoint', generation: 1 },
};

function contextOf(
  { workload, service }: { readonly workload?: Partial<MeshWorkload>; readonly service?: Partial<MeshService> },
  more: Partial<TargetContext> = {},
): TargetContext {
  const mesh = new MeshState();
  const values = [
    { kind: 'service', service: meshService({ name: 'waypoint' }) },
    { kind: 'service', service: meshService({ name: 'web', ...service }) },
    { kind: 'workload', workload: own },
    { kind: 'workload', workload: meshWorkload({ name: 'db', addresses: ['10.244.1.5'], ...workload }) },
  ] as const;
  mesh.applyAddresses({ updated: values, removed: [] });
  return { mesh, network: defaultNetwork, listener, clientNamespace: 'front', own, left: new Set(), ...more };
}

function targetOf(workload: Partial<MeshWorkload>, more: Partial<TargetContext> = {}): string {
  const target = waypointTarget('10.244.1.5:5432', contextOf({ workload }, more));
  return target.kind === 'refused' ? `${target.status} ${target.reason}` : target.kind;
}

const notOurs = '404 waypoint shop/waypoint does not stand for the workload at 10.244.1.5';

test('a workload that uses the waypoint is reached by its address', () => {
  assert.equal(targetOf({ waypoint }), 'workload');
});

test('nobody borrows the name of a waypoint to reach workloads that do not use it', () => {
  const other = { ...waypoint, destination: { ...waypoint.destination, hostname: 'other.shop.svc.cluster.local' } };
  assert.equal(targetOf({}), notOurs);
  assert.equal(targetOf({ waypoint: other }), notOurs);
  assert.equal(targetOf({ waypoint }, { own: undefined }), notOurs);
  assert.equal(
    targetOf({}, { listener: { ...listener, trafficType: 'service' } }),
    '404 waypoint shop/waypoint takes service traffic, not what goes to the workload at 10.244.1.5',
  );
});

test('a workload that used the waypoint until a moment ago is still reached', () => {
  assert.equal(targetOf({}, { left: { has: ({ name }) => name === 'db' } }), 'workload');
});

test('a Service is refused for now where the mesh says that it uses the waypoint, else as one of others', () => {
  const key = serviceKey('shop', 'web.shop.svc.cluster.local');
  const refusalOf = (service: Partial<MeshService>): string => {
    const context = contextOf({ service });
    const target = waypointTarget('web.shop.svc.cluster.local:80', context);
    assert.equal(target.kind, 'service');
    const { status, reason } = unservedRefusal({ kind: 'service', service: key, address: '', port: 80 }, context);
    return `${status} ${reason}`;
  };
  const what = `${key} port 80`;
  assert.equal(refusalOf({ waypoint }), `503 waypoint shop/waypoint is not told yet how to serve ${what}`);
  assert.equal(refusalOf({}), `404 waypoint shop/waypoint does not stand for ${what}`);
});
