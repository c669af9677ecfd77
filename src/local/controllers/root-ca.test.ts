import { equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from '../../api/index.ts';
import { openTestCluster } from './test-cluster.ts';

const name = 'kube-root-ca.crt';

test('a namespace has an account and the root certificate, and gets them again', async (t) => {
  const cluster = await openTestCluster(t);
  const { client } = cluster;
  const bundle = (namespace: string) =>
    cluster.until(`a bundle in ${namespace}`, async () => {
      const found = await client.get(kinds.ConfigMap, name, namespace).catch(() => undefined);
      return found?.data?.['ca.crt']?.startsWith('-----BEGIN CERTIFICATE-----') && found;
    });
  await client.create(kinds.Namespace, { metadata: { name: 'made' } });
  const first = await bundle('made');
  match(first.metadata.annotations?.['kubernetes.io/description'] ?? '', /^Contains a CA bundle/);
  await cluster.until('an account', () => client.get(kinds.ServiceAccount, 'default', 'made').catch(() => undefined));
  for (const namespace of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) await bundle(namespace);

  await client.delete(kinds.ConfigMap, name, 'made');
  const second = await bundle('made');
  ok(second.metadata.uid !== first.metadata.uid);
  const patch = { data: { 'ca.crt': 'another', more: 'x' } };
  await client.patch(kinds.ConfigMap, name, 'made', patch, { type: 'merge' });
  const third = await bundle('made');
  equal(third.data?.['more'], undefined);
  equal(third.metadata.uid, second.metadata.uid);
});
