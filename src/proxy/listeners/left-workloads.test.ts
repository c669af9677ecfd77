import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceKey } from '../../api/names.ts';
import type { GatewayAddress } from '../../api/workload.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { LeftWorkloads } from './left-workloads.ts';

function waypointNamed(name: string): GatewayAddress {
  const hostname = `${name}.shop.svc.cluster.local`;
  return { destination: { kind: 'hostname', namespace: 'shop', hostname }, hboneMtlsPort: 15008 };
}

const own = meshWorkload({
  name: 'waypoint',
  services: new Map([[serviceKey('shop', 'waypoint.shop.svc.cluster.local'), []]]),
});

function leaving() {
  const clock = createFakeClock();
  const mesh = new MeshState();
  let leaves = 0;
  const ended = new AbortController().signal;
  const left = new LeftWorkloads({ mesh, clock, ended, own: () => own, onLeave: () => leaves++ });
  const tell = (waypoint?: string): void => {
    const workload = meshWorkload(waypoint === undefined ? {} : { waypoint: waypointNamed(waypoint) });
    mesh.applyAddresses({ updated: [{ kind: 'workload', workload }], removed: [] });
  };
  mesh.applyAddresses({
    updated: [
      { kind: 'service', service: meshService({ name: 'waypoint' }) },
      { kind: 'workload', workload: own },
    ],
    removed: [],
  });
  return { clock, tell, has: () => left.has(meshWorkload()), leaves: () => leaves };
}

test('a workload that is given another waypoint, or none, is remembered for a while', () => {
  for (const next of ['other', undefined]) {
    const { clock, tell, has, leaves } = leaving();
    tell('waypoint');
    assert.equal(has(), false);
    tell(next);
    assert.deepEqual([has(), leaves()], [true, 1]);
    clock.advance(14_999);
    assert.equal(has(), true);
    clock.advance(1);
    assert.equal(has(), false);
  }
});

test('one that comes back is ours, and its next leave counts anew', () => {
  const { clock, tell, has, leaves } = leaving();
  tell('waypoint');
  tell();
  clock.advance(10_000);
  tell('waypoint');
  assert.equal(has(), false);
  tell('other');
  clock.advance(10_000);
  assert.deepEqual([has(), leaves()], [true, 2]);
});

test('workloads of other waypoints are never ours', () => {
  const { tell, has, leaves } = leaving();
  tell('other');
  tell();
  assert.deepEqual([has(), leaves()], [false, 0]);
});
