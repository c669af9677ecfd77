import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WaypointListener } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { waypointTarget } from './waypoint-target.ts';

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

function targetOf(workload: Partial<MeshWorkload>, self: MeshWorkload | undefined = own): string {
  const mesh = new MeshState();
  const values = [
    { kind: 'service', service: meshService({ name: 'waypoint' }) },
    { kind: 'workload', workload: own },
    { kind: 'workload', workload: meshWorkload({ name: 'db', addresses: ['10.244.1.5'], ...workload }) },
  ] as const;
  mesh.applyAddresses({ updated: values, removed: [] });
  const context = { mesh, network: defaultNetwork, listener, clientNamespace: 'front', own: self };
  const target = waypointTarget('10.244.1.5:5432', context);
  return target.kind === 'refused' ? target.reason : target.kind;
}

test('a workload that uses the waypoint is reached by its address', () => {
  assert.equal(targetOf({ waypoint }), 'workload');
});

test('nobody borrows the name of a waypoint to reach workloads that do not use it', () => {
  const reason = 'waypoint shop/waypoint does not stand for the workload at 10.244.1.5';
  const other = { ...waypoint, destination: { ...waypoint.destination, hostname: 'other.shop.svc.cluster.local' } };
  assert.equal(targetOf({}), reason);
  assert.equal(targetOf({ waypoint: other }), reason);
});
