import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceKey } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { MeshState } from '../../mesh/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { OutboundWatch, unknownAddress, type WatchedFacts } from './outbound-watch.ts';

const client = meshWorkload({ name: 'client', addresses: ['10.1.0.1'] });
const web = meshService({ addresses: [{ network: defaultNetwork, ip: '10.96.0.10' }] });
const webKey = serviceKey('shop', web.hostname);
const waypoint = {
  destination: { kind: 'hostname' as const, namespace: 'shop', hostname: 'waypoint.shop.svc.cluster.local' },
  hboneMtlsPort: 15008,
};

function setup(): {
  mesh: MeshState;
  clock: ReturnType<typeof createFakeClock>;
  set: (...parts: (MeshWorkload | MeshService)[]) => Promise<void>;
  watch: (facts: Partial<WatchedFacts>) => { cuts: string[]; end: () => void };
} {
  const mesh = new MeshState();
  const clock = createFakeClock();
  const watching = new OutboundWatch({ mesh, clock, random: () => 0.5, waypointDrainMs: 60_000 });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    mesh,
    clock,
    async set(...parts) {
      const updated = parts.map((part) =>
        'uid' in part ? { kind: 'workload' as const, workload: part } : { kind: 'service' as const, service: part },
      );
      mesh.applyAddresses({ updated, removed: [] });
      await settled();
    },
    watch(facts) {
      const cuts: string[] = [];
      const end = watching.watch(
        { cut: (error) => void cuts.push(error.message) },
        {
          own: client,
          destinationIp: '10.96.0.10',
          destinationPort: 80,
          wentTo: 'mesh',
          concerns: [webKey],
          revision: mesh.revision,
          ...facts,
        },
      );
      return { cuts, end };
    },
  };
}

test('a waypoint that becomes required ends old connections within the drain time', async () => {
  const { set, watch, clock } = setup();
  await set(client, web);
  const old = watch({});
  await set({ ...web, waypoint });
  clock.advance(29_999);
  assert.deepEqual(old.cuts, []);
  clock.advance(2);
  assert.deepEqual(old.cuts, ['connection closed: a waypoint became required on the way to 10.96.0.10']);
});

test('a waypoint that is taken back meanwhile ends nothing', async () => {
  const { set, watch, clock } = setup();
  await set(client, web);
  const old = watch({});
  await set({ ...web, waypoint });
  await set(web);
  clock.advance(60_000);
  assert.deepEqual(old.cuts, []);
  assert.equal(clock.pending, 0);
});

test('a waypoint that came between plan and connection is not missed', async () => {
  const { set, watch, clock, mesh } = setup();
  await set(client, web);
  const { revision } = mesh;
  await set({ ...web, waypoint });
  const old = watch({ revision });
  await set(meshWorkload({ name: 'other' }));
  clock.advance(60_000);
  assert.equal(old.cuts.length, 1);
});

test('REGISTRY_ONLY ends passthrough of its pod at once, and nothing else', async () => {
  const { set, watch } = setup();
  await set(client, web);
  const outside = watch({ destinationIp: '203.0.113.1', wentTo: 'outside', concerns: [client.uid] });
  const inside = watch({});
  const other = meshWorkload({ name: 'other' });
  const others = watch({ own: other, destinationIp: '203.0.113.1', wentTo: 'outside', concerns: [other.uid] });
  await set({ ...client, outboundMode: 'registry-only' });
  assert.match(
    outside.cuts[0] ?? '',
    /203\.0\.113\.1 is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY/,
  );
  assert.deepEqual([inside.cuts, others.cuts], [[], []]);
});

test('REGISTRY_ONLY ends what left the registry, whichever of both came first', async () => {
  const { mesh, set, watch } = setup();
  const strict = { ...client, outboundMode: 'registry-only' } as const;
  await set(client, web);
  const facts = { wentTo: 'outside', concerns: [webKey, client.uid] } as const;
  const first = watch(facts);
  mesh.applyAddresses({ updated: [], removed: [webKey] });
  await set(meshWorkload({ name: 'other' }));
  assert.deepEqual(first.cuts, [], 'nobody minds yet');
  await set(strict);
  assert.equal(first.cuts.length, 1);
  await set(web);
  const second = watch({ ...facts, own: strict });
  mesh.applyAddresses({ updated: [], removed: [webKey] });
  await set(meshWorkload({ name: 'another' }));
  assert.equal(second.cuts.length, 1);
});

test('a waypoint of a service that comes to have the address moves connections that passed through before', async () => {
  const { set, watch, clock } = setup();
  await set(client);
  const old = watch({
    wentTo: 'outside',
    concerns: [...unknownAddress('203.0.113.1'), client.uid],
    destinationIp: '203.0.113.1',
  });
  const elsewhere = watch({
    wentTo: 'outside',
    concerns: [...unknownAddress('203.0.113.2'), client.uid],
    destinationIp: '203.0.113.2',
  });
  await set({ ...web, addresses: [{ network: defaultNetwork, ip: '203.0.113.1' }], waypoint });
  clock.advance(60_000);
  assert.deepEqual(old.cuts, ['connection closed: a waypoint became required on the way to 203.0.113.1']);
  assert.deepEqual(elsewhere.cuts, []);
  await set({ ...web, addresses: [{ network: defaultNetwork, ip: '203.0.113.0', prefixLength: 24 }], waypoint });
  clock.advance(60_000);
  assert.equal(elsewhere.cuts.length, 1, 'by a block around it');
});

test('a waypoint of a workload that comes to have the address moves them, too', async () => {
  const { set, watch, clock } = setup();
  await set(client);
  const concerns = [...unknownAddress('203.0.113.1'), client.uid];
  const old = watch({ wentTo: 'outside', concerns, destinationIp: '203.0.113.1' });
  const machine = meshWorkload({ name: 'machine', addresses: ['203.0.113.1'] });
  await set(machine);
  clock.advance(60_000);
  assert.deepEqual(old.cuts, []);
  await set({ ...machine, waypoint });
  clock.advance(60_000);
  assert.equal(old.cuts.length, 1);
});

test('a connection that ended is forgotten, with what waits for it', async () => {
  const { set, watch, clock } = setup();
  await set(client, web);
  const old = watch({});
  await set({ ...web, waypoint });
  old.end();
  assert.equal(clock.pending, 0);
  await set({ ...web, waypoint, name: 'again' });
  clock.advance(60_000);
  assert.deepEqual(old.cuts, []);
});

test('20,000 connections that a change concerns are looked at in slices of the loop', async () => {
  const { mesh, watch } = setup();
  mesh.applyAddresses({
    updated: [
      { kind: 'service', service: web },
      { kind: 'workload', workload: client },
    ],
    removed: [],
  });
  const all = Array.from({ length: 20_000 }, () =>
    watch({ destinationIp: '203.0.113.1', wentTo: 'outside', concerns: [client.uid] }),
  );
  mesh.applyAddresses({
    updated: [{ kind: 'workload', workload: { ...client, outboundMode: 'registry-only' } }],
    removed: [],
  });
  let turns = 0;
  while (all.some(({ cuts }) => cuts.length === 0)) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  assert.ok(turns > 1);
});
