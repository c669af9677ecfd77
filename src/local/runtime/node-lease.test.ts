import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Lease } from '../../api/index.ts';
import { KubeError, type KubeClient } from '../../kube/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { renewNodeLease } from './node-lease.ts';

function open(existing?: Lease): { options: Parameters<typeof renewNodeLease>[0]; stored: () => Lease | undefined } {
  let lease = existing;
  const client = {
    patch: (_kind: unknown, _name: string, _namespace: string, patch: Pick<Lease, 'spec'>) => {
      if (!lease) return Promise.reject(notFound());
      lease = { ...lease, spec: { ...lease.spec, ...patch.spec } };
      return Promise.resolve(lease);
    },
    get: () => Promise.resolve({ metadata: { name: 'n1', uid: 'node-uid' } }),
    create: (_kind: unknown, object: Lease) => Promise.resolve((lease = object)),
  } as unknown as KubeClient;
  const clock = createFakeClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  return {
    options: { client, nodeName: 'n1', clock, log: silentLog(), signal: new AbortController().signal },
    stored: () => lease,
  };
}

function notFound(): KubeError {
  return new KubeError('not there', { code: 'kube.not-found', status: 404, blame: 'downstream' });
}

test('a missing lease is made, owned by the node, with the time in microseconds', async () => {
  const { options, stored } = open();
  await renewNodeLease(options);
  deepEqual(stored()?.metadata.ownerReferences, [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'node-uid' }]);
  deepEqual(stored()?.spec, {
    holderIdentity: 'n1',
    leaseDurationSeconds: 40,
    renewTime: '2026-01-02T03:04:05.678000Z',
  });
});

test('a lease that is there is renewed and keeps its owner', async () => {
  const { options, stored } = open({ metadata: { name: 'n1', uid: 'lease-uid' }, spec: { renewTime: 'before' } });
  await renewNodeLease(options);
  equal(stored()?.metadata.uid, 'lease-uid');
  equal(stored()?.spec?.renewTime, '2026-01-02T03:04:05.678000Z');
});
