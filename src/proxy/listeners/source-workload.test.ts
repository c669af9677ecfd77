import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkId, SpiffeId } from '../../api/names.ts';
import { HeaderList } from '../../http/header-list.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { sourceWorkload } from './source-workload.ts';

const near = 'near' as NetworkId;
const client = { address: '10.0.0.7', identity: 'spiffe://cluster.local/ns/front/sa/client' as SpiffeId };
const mesh = new MeshState();
const local = meshWorkload({ name: 'gateway', network: near, addresses: ['10.0.0.7'] });
mesh.applyAddresses({ updated: [{ kind: 'workload', workload: local }], removed: [] });

test('a tunnel of our own network is of who has its address', () => {
  for (const fields of [[], ['x-forwarded-network', 'NEAR']]) {
    assert.equal(sourceWorkload(new HeaderList(fields), client, { mesh, network: near })?.name, 'gateway');
  }
});

test('one of another network is of who it says, in the namespace that its certificate proves', () => {
  const baggage =
    'k8s.namespace.name=admin,k8s.deployment.name=shopper,service.name=shop,service.version=v2,k8s.cluster.name=c2';
  const headers = new HeaderList(['x-forwarded-network', 'far', 'baggage', baggage]);
  const found = sourceWorkload(headers, client, { mesh, network: near });
  assert.deepEqual(
    [found?.workloadName, found?.namespace, found?.canonicalName, found?.canonicalRevision, found?.clusterId],
    ['shopper', 'front', 'shop', 'v2', 'c2'],
  );
  assert.deepEqual([found?.network, found?.serviceAccount], ['far', 'client']);
  const silent = new HeaderList(['x-forwarded-network', 'far']);
  assert.equal(sourceWorkload(silent, client, { mesh, network: near }), undefined, 'never the gateway');
});
