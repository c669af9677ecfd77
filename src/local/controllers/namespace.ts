/** Deleting a namespace: first all that is in it, then its finalizer, so that the API server lets it go. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type CoreCondition, type KindRef, type KubeObject, type Namespace } from '../../api/index.ts';
import { isKubeError } from '../../kube/index.ts';
import { discoverKinds } from './api-resources.ts';
import { timestamp, type Cluster, type Controller } from './cluster.ts';
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
    await writeConditions(namespace, left);
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

  /** Says what a namespace that goes still has, and whose finalizers it waits for. */
  async function writeConditions(namespace: Namespace, left: readonly KindRef[]): Promise<void> {
    const { name = '', uid } = namespace.metadata;
    const finalizers = new Map<string, number>();
    const content: string[] = [];
    for (const kind of left) {
      const { items } = await client.list(kind, { namespace: name, signal });
      if (items.length === 0) continue;
      const resource = kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
      content.push(`${resource} has ${items.length} resource instances`);
      for (const finalizer of items.flatMap(({ metadata }) => metadata.finalizers ?? []))
        finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
    }
    const held = [...finalizers].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`);
    const conditions = namespaceConditions(namespace, content, held, clock.nowMs());
    if (isDeepStrictEqual(conditions, namespace.status?.conditions)) return;
    const patch = { metadata: { uid }, status: { conditions } };
    await client
      .patch(kinds.Namespace, name, undefined, patch, { type: 'merge', subresource: 'status', signal })
      .catch((error: unknown) => {
        if (!isKubeError(error, 'kube.not-found')) throw error;
      });
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

function namespaceConditions(
  { status }: Namespace,
  content: readonly string[],
  held: readonly string[],
  nowMs: number,
): CoreCondition[] {
  const wanted: CoreCondition[] = [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      false,
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ),
    condition(
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ),
    condition(
      'NamespaceDeletionContentFailure',
      false,
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    ),
    content.length > 0
      ? condition(
          'NamespaceContentRemaining',
          true,
          'SomeResourcesRemain',
          `Some resources are remaining: ${content.join(', ')}`,
        )
      : condition('NamespaceContentRemaining', false, 'ContentRemoved', 'All content successfully removed'),
    held.length > 0
      ? condition(
          'NamespaceFinalizersRemaining',
          true,
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${held.join(', ')}`,
        )
      : condition(
          'NamespaceFinalizersRemaining',
          false,
          'ContentHasNoFinalizers',
          'All content-preserving finalizers finished',
        ),
  ];
  return wanted.map((one) => {
    const before = status?.conditions?.find(({ type }) => type === one.type);
    const since = before?.status === one.status ? before.lastTransitionTime : undefined;
    return { ...one, lastTransitionTime: since ?? timestamp(nowMs) };
  });
}

function condition(type: string, is: boolean, reason: string, message: string): CoreCondition {
  return { type, status: is ? 'True' : 'False', reason, message };
}
