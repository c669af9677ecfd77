import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeltaConnectionStatus } from '../xds/index.ts';
import { syncStatus, type SyncClient } from './sync-status.ts';

function connection(more: Partial<DeltaConnectionStatus<SyncClient>>): DeltaConnectionStatus<SyncClient> {
  return {
    client: { namespace: 'istio-system' },
    node: { id: 'ztunnel~10.0.0.1~ztunnel-a.istio-system~x', metadata: { NODE_NAME: 'node-1' }, buildVersion: '1.2' },
    peerAddress: '10.0.0.1:5',
    connectedAtMs: 0,
    isInStep: true,
    types: [
      { typeUrl: 'type.googleapis.com/istio.workload.Address', resourceCount: 3, outstanding: false, refused: [] },
    ],
    ...more,
  };
}

test('who is connected is told by its pod, with what it holds', () => {
  const { replica, clients } = syncStatus('istiod-1', [connection({})]);
  assert.equal(replica, 'istiod-1');
  assert.deepEqual(clients, [
    {
      proxy: 'ztunnel-a.istio-system',
      namespace: 'istio-system',
      type: 'ztunnel',
      node: 'node-1',
      version: '1.2',
      address: '10.0.0.1:5',
      connectedAt: '1970-01-01T00:00:00.000Z',
      inStep: true,
      types: [{ type: 'Address', resources: 3, outstanding: false, refused: [] }],
    },
  ]);
});

test('a proxy that waits, is behind or refuses is not in step', () => {
  const [type] = connection({}).types;
  assert.ok(type);
  const waypoint = {
    client: { namespace: 'shop', gateway: 'shop/wp' },
    node: { id: 'waypoint~10.0.0.2~wp-1.shop~x', metadata: {} },
  };
  const stateOf = (more: Partial<DeltaConnectionStatus<SyncClient>>): boolean | undefined =>
    syncStatus('a', [connection({ ...waypoint, ...more })]).clients[0]?.inStep;
  assert.equal(stateOf({}), true);
  assert.equal(stateOf({ isInStep: false }), false);
  assert.equal(stateOf({ types: [{ ...type, outstanding: true }] }), false);
  assert.equal(stateOf({ types: [{ ...type, refused: [{ name: '*', reason: 'no' }] }] }), false);
  const [found] = syncStatus('a', [connection(waypoint)]).clients;
  assert.equal(found?.type, 'waypoint');
  assert.equal(found?.gateway, 'shop/wp');
});

test('a client that calls itself otherwise is listed under the name that it gives', () => {
  const node = { id: 'someone', metadata: {} };
  assert.equal(syncStatus('a', [connection({ node })]).clients[0]?.proxy, 'someone');
});
