import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spiffeId } from '../api/names.ts';
import type { RpcCall } from '../rpc/index.ts';
import { createCertificateAuthorizer } from './certificates.ts';
import { PodDirectory } from './pod-directory.ts';

const wanted = spiffeId('cluster.local', 'shop', 'web');

function ask(pods: PodDirectory): Promise<unknown> {
  const authorize = createCertificateAuthorizer({
    callers: {
      authenticate: async () => ({
        namespace: 'istio-system',
        serviceAccount: 'ztunnel',
        pod: { name: 'ztunnel-1', uid: 'u1' },
      }),
    } as never,
    pods,
    trustDomain: 'cluster.local',
    trustedAccounts: new Set(['istio-system/ztunnel']),
    metrics: { csr: { record() {} } } as never,
    patienceMs: 1,
  });
  return authorize({ signal: new AbortController().signal } as RpcCall, wanted);
}

test('a watch that does not know the caller yet says nothing of the identities of its node', async () => {
  const pods = new PodDirectory();
  await assert.rejects(ask(pods), { code: 'rpc.unavailable', message: /caller's pod .* is not known/ });
  pods.set({
    metadata: { namespace: 'istio-system', name: 'ztunnel-1', uid: 'u1' },
    spec: { serviceAccountName: 'ztunnel', nodeName: 'node-1', containers: [] },
  });
  await assert.rejects(ask(pods), { code: 'rpc.permission-denied', message: /no pod of "shop\/web"/ });
});
