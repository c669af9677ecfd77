/** PodDisruptionBudgets: their status, by which the API server allows evictions. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type Pod } from '../../api/index.ts';
import { objectKey } from '../../kube/index.ts';
import { budgetStatus, podsOfBudget } from './budget-plan.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { controllerOf } from './ownership.ts';
import { createWorkQueue } from './work-queue.ts';

/** How often evictions that nothing came of are looked for. */
const recheckMs = 120_000;

export function createBudgetController(cluster: Cluster): Controller {
  const { client, clock, budgets, pods, signal } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('disruption'), clock });

  budgets.onChange((after) => {
    if (after) queue.add(objectKey(after));
  });
  pods.onChange((after, before) => {
    const { namespace } = (after ?? before)?.metadata ?? {};
    for (const [key, budget] of budgets.store) {
      if (budget.metadata.namespace !== namespace) continue;
      const changed = [after, before].filter((pod) => pod !== undefined);
      if (podsOfBudget(budget, changed).length > 0) queue.add(key);
    }
  });
  for (const source of [cluster.deployments, cluster.replicaSets, cluster.statefulSets]) {
    source.onChange((after, before) => {
      if (after?.metadata.generation === before?.metadata.generation) return;
      for (const [key, { metadata }] of budgets.store)
        if (metadata.namespace === (after ?? before)?.metadata.namespace) queue.add(key);
    });
  }
  return queue;

  async function reconcile(key: string): Promise<void> {
    const budget = budgets.store.get(key);
    if (!budget || budget.metadata.deletionTimestamp || !isLive(cluster, budget.metadata.namespace)) return;
    const { name = '', namespace, resourceVersion } = budget.metadata;
    const own = [...pods.store.values()].filter(({ metadata }) => metadata.namespace === namespace);
    const status = budgetStatus({ budget, pods: own, expected, nowMs: clock.nowMs() });
    if (status.disruptedPods) queue.addAfter(key, recheckMs);
    if (isDeepStrictEqual(status, budget.status)) return;
    // The server writes here too, when it allows an eviction: only one of both may count on what it read.
    const patch = { metadata: { resourceVersion }, status: { ...status, disruptedPods: status.disruptedPods ?? null } };
    await client.patch(kinds.PodDisruptionBudget, name, namespace, patch, {
      type: 'merge',
      subresource: 'status',
      signal,
    });
  }

  /** What the controllers of the pods want, each counted once. */
  function expected(of: readonly Pod[]): number | undefined {
    const wanted = new Map<string, number>();
    for (const pod of of) {
      const owner = controllerOf(pod);
      const replicas = owner && replicasOf(pod.metadata.namespace ?? '', owner.kind, owner.name);
      if (!replicas) return undefined;
      wanted.set(replicas.uid, replicas.count);
    }
    return [...wanted.values()].reduce((sum, count) => sum + count, 0);
  }

  function replicasOf(namespace: string, kind: string, name: string): { uid: string; count: number } | undefined {
    const key = `${namespace}/${name}`;
    const set = kind === 'ReplicaSet' ? cluster.replicaSets.store.get(key) : cluster.statefulSets.store.get(key);
    if (!set || (kind !== 'ReplicaSet' && kind !== 'StatefulSet')) return undefined;
    const owner = controllerOf(set);
    const deployment = owner?.kind === 'Deployment' ? cluster.deployments.store.get(`${namespace}/${owner.name}`) : set;
    const found = deployment ?? set;
    return { uid: found.metadata.uid ?? '', count: found.spec.replicas ?? 1 };
  }
}
