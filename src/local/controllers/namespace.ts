/** Deleting a namespace: first all that is in it, then its finalizer, so that the API server lets it go. */
import { kinds, type KindRef, type KubeObject } from '../../api/index.ts';
import { isKubeError } from '../../kube/index.ts';
import { discoverKinds } from './api-resources.ts';
import type { Cluster, Controller } from './cluster.ts';
import { createWorkQueue } from './work-queue.ts';

/** How long until the content is looked at again: pods take their time to stop. */
const recheckMs = 250;

/** Those that make pods go first, so that nothing is made again behind our back. */
const first: readonly KindRef[] = [
  kinds.CronJob,
  kinds.Job,
  kinds.Deployment,
  kinds.ReplicaSet,
  kinds.StatefulSet,
  kinds.DaemonSet,
];

export function createNamespaceController(cluster: Cluster): Controller {
  const { client, clock, namespaces, pods, signal } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('namespace'), clock });
  /** Kinds that still had objects when last looked at. */
  const remaining = new Map<string, readonly KindRef[]>();

  namespaces.onChange((after, before) => {
    if (after?.metadata.deletionTimestamp) queue.add(after.metadata.name ?? '');
    if (!after) remaining.delete(before?.metadata.name ?? '');
  });
  pods.onChange((after, before) => {
    const { namespace = '' } = before?.metadata ?? {};
    if (!after && remaining.has(namespace)) queue.add(namespace);
  });
  return queue;

  async function reconcile(name: string): Promise<void> {
    const namespace = namespaces.store.get(name);
    if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes('kubernetes')) return;
    const left: KindRef[] = [];
    const namespacedKinds = await kindsToEmpty();
    for (const kind of remaining.get(name) ?? namespacedKinds) if (await empty(kind, name)) left.push(kind);
    remaining.set(name, left);
    if (left.length > 0) {
      queue.addAfter(name, recheckMs);
      return;
    }
    // What was made after its kind was looked at must not be lost sight of.
    for (const kind of namespacedKinds) if (await empty(kind, name)) left.push(kind);
    remaining.set(name, left);
    if (left.length > 0) queue.addAfter(name, recheckMs);
    else await finalize(name);
  }

  /** All that can be in a namespace, also by definitions that are younger than this controller. */
  async function kindsToEmpty(): Promise<KindRef[]> {
    const isFirst = ({ group, kind }: KindRef): boolean =>
      first.some((other) => other.kind === kind && other.group === group);
    const all = await discoverKinds(client, signal);
    return [...first, ...all.filter((kind) => kind.namespaced && !isFirst(kind))];
  }

  /** Deletes what there is of a kind. Returns whether anything was still there. */
  async function empty(kind: KindRef, namespace: string): Promise<boolean> {
    const { items } = await client.list(kind, { namespace, signal }).catch((error: unknown) => {
      // Its definition went in the meantime, and its objects with it.
      if (isKubeError(error, 'kube.not-found')) return { items: [] };
      throw error;
    });
    await Promise.all(
      items.filter(({ metadata }) => !metadata.deletionTimestamp).map((object) => remove(kind, object)),
    );
    return items.length > 0;
  }

  async function remove(kind: KindRef, { metadata: { name = '', namespace } }: KubeObject): Promise<void> {
    try {
      await client.delete(kind, name, namespace, { propagationPolicy: 'Background', signal });
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  }

  async function finalize(name: string): Promise<void> {
    const current = await client.get(kinds.Namespace, name, undefined, signal).catch((error: unknown) => {
      if (isKubeError(error, 'kube.not-found')) return undefined;
      throw error;
    });
    if (!current) return;
    const finalizers = (current.spec?.finalizers ?? []).filter((finalizer) => finalizer !== 'kubernetes');
    const body = { apiVersion: 'v1', kind: 'Namespace', ...current, spec: { ...current.spec, finalizers } };
    const response = await client.raw({
      method: 'PUT',
      path: `/api/v1/namespaces/${encodeURIComponent(name)}/finalize`,
      body,
      signal,
    });
    await response.body.text();
  }
}
