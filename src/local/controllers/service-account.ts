/** Every namespace has a ServiceAccount named `default`. */
import { kinds } from '../../api/index.ts';
import { isKubeError } from '../../kube/index.ts';
import type { Cluster, Controller } from './cluster.ts';
import { createWorkQueue } from './work-queue.ts';

export function createServiceAccountController(cluster: Cluster): Controller {
  const { client, clock, namespaces, serviceAccounts, signal } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('serviceaccount'), clock });

  namespaces.onChange((after) => {
    if (after?.metadata.name) queue.add(after.metadata.name);
  });
  serviceAccounts.onChange((after, before) => {
    if (!after && before?.metadata.name === 'default') queue.add(before.metadata.namespace ?? '');
  });
  return queue;

  async function reconcile(namespace: string): Promise<void> {
    const found = namespaces.store.get(namespace);
    if (!found || found.metadata.deletionTimestamp || serviceAccounts.store.has(`${namespace}/default`)) return;
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    await client.create(kinds.ServiceAccount, account, signal).catch((error: unknown) => {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    });
  }
}
