/** Objects whose owners are all gone are deleted; pods of nodes that are gone, too. */
import { kinds, type KindRef, type KubeObject, type OwnerReference } from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { discoverKinds } from './api-resources.ts';
import type { Cluster, Controller } from './cluster.ts';
import { openSource, type Source } from './source.ts';
import { createWorkQueue } from './work-queue.ts';

/** A node that is away for less than this may come back with its pods. */
const nodeGraceMs = 40_000;

const foregroundFinalizer = 'foregroundDeletion';

/** Kinds that owners make, beside those that the controllers watch anyway. */
const furtherKinds: readonly KindRef[] = [kinds.ConfigMap, kinds.Secret, kinds.Gateway];

export function createGarbageCollector(cluster: Cluster): Controller & { readonly synced: Promise<void> } {
  const { client, clock, signal, nodes, pods } = cluster;
  const log = cluster.log.child('garbage');
  const queue = createWorkQueue({ reconcile, signal, log, clock });
  const watched: readonly Source<KubeObject>[] = [
    cluster.pods as Source<KubeObject>,
    cluster.replicaSets as Source<KubeObject>,
    cluster.deployments as Source<KubeObject>,
    cluster.statefulSets as Source<KubeObject>,
    cluster.daemonSets as Source<KubeObject>,
    cluster.revisions as Source<KubeObject>,
    cluster.jobs as Source<KubeObject>,
    cluster.cronJobs as Source<KubeObject>,
    cluster.budgets as Source<KubeObject>,
    cluster.autoscalers as Source<KubeObject>,
    cluster.claims,
    cluster.slices as Source<KubeObject>,
    cluster.services,
    cluster.serviceAccounts,
    cluster.nodes,
    cluster.namespaces,
    ...furtherKinds.map((kind) => openSource(kind, { client, signal, log })),
  ];
  const byPrefix = new Map(watched.map((source) => [keyOf(source.kind, ''), source]));
  /** Keys of dependents, by the uid of their owner. */
  const dependents = new Map<string, Set<string>>();
  /** Keys of objects that wait until what they own is gone, by uid. */
  const foreground = new Map<string, string>();
  const missingSince = new Map<string, number>();
  let served: readonly KindRef[] = [];

  for (const source of watched) source.onChange((after, before) => note(source.kind, after, before));
  nodes.onChange((after, before) => {
    if (after) missingSince.delete(after.metadata.name ?? '');
    else
      for (const [key, pod] of pods.store)
        if (pod.spec.nodeName === before?.metadata.name) queue.add(keyOf(kinds.Pod, key));
  });
  return { ...queue, synced: Promise.all(watched.map(({ synced }) => synced)).then(() => undefined) };

  function note(kind: KindRef, after: KubeObject | undefined, before: KubeObject | undefined): void {
    const object = after ?? before;
    if (!object) return;
    const key = keyOf(kind, objectKey(object));
    for (const { uid } of before?.metadata.ownerReferences ?? []) {
      dependents.get(uid)?.delete(key);
      const waiting = foreground.get(uid);
      if (waiting !== undefined) queue.add(waiting);
    }
    for (const { uid } of after?.metadata.ownerReferences ?? []) {
      const keys = dependents.get(uid) ?? new Set();
      dependents.set(uid, keys.add(key));
    }
    const { uid = '' } = object.metadata;
    if (after && isForeground(after)) foreground.set(uid, key);
    else foreground.delete(uid);
    if (after && isForeground(after)) queue.add(key);
    if (!after) {
      for (const dependent of dependents.get(uid) ?? []) queue.add(dependent);
      dependents.delete(uid);
    } else if (after.metadata.ownerReferences?.length || (kind.kind === 'Pod' && !before)) queue.add(key);
  }

  async function reconcile(key: string): Promise<void> {
    const at = key.indexOf(' ');
    const source = byPrefix.get(key.slice(0, at + 1));
    const object = source?.store.get(key.slice(at + 1));
    if (!source || !object) return;
    if (isForeground(object)) return deleteDependents(source.kind, object);
    if (object.metadata.deletionTimestamp) return;
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length > 0) {
      for (const owner of owners) if (await exists(owner, object.metadata.namespace)) return;
      await remove(source.kind, object);
      log.debug('deleted an object without owners', { kind: source.kind.kind, name: object.metadata.name });
    } else if (source.kind.kind === 'Pod') await collectWithNode(key, object);
  }

  /** Deletes what blocks the deletion of its owner, and lets the owner go once that is gone. */
  async function deleteDependents(kind: KindRef, owner: KubeObject): Promise<void> {
    const { uid = '', name = '', namespace, finalizers = [], resourceVersion } = owner.metadata;
    let isBlocked = false;
    for (const key of dependents.get(uid) ?? []) {
      const at = key.indexOf(' ');
      const source = byPrefix.get(key.slice(0, at + 1));
      const dependent = source?.store.get(key.slice(at + 1));
      const reference = dependent?.metadata.ownerReferences?.find((one) => one.uid === uid);
      if (!source || !dependent || reference?.blockOwnerDeletion !== true) continue;
      isBlocked = true;
      if (dependent.metadata.deletionTimestamp) continue;
      const owns = (dependents.get(dependent.metadata.uid ?? '')?.size ?? 0) > 0;
      await remove(source.kind, dependent, undefined, owns ? 'Foreground' : 'Background');
    }
    if (isBlocked) return;
    const left = finalizers.filter((finalizer) => finalizer !== foregroundFinalizer);
    const patch = { metadata: { resourceVersion, finalizers: left.length > 0 ? left : null } };
    try {
      await client.patch(kind, name, namespace, patch, { type: 'merge', signal });
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  }

  /** Asks the watched copy first, and the API server before it calls somebody gone. */
  async function exists(owner: OwnerReference, namespace: string | undefined): Promise<boolean> {
    const slash = owner.apiVersion.indexOf('/');
    const group = slash < 0 ? '' : owner.apiVersion.slice(0, slash);
    const info = await kindOf(group, owner.kind);
    // Nobody can say of a kind that is not served here whether its object lives.
    if (!info) return true;
    const place = info.namespaced ? namespace : undefined;
    const local = byPrefix.get(keyOf(info, ''))?.store.get(place === undefined ? owner.name : `${place}/${owner.name}`);
    if (local?.metadata.uid === owner.uid) return true;
    try {
      const found = await client.get(info, owner.name, place, signal);
      return found.metadata.uid === owner.uid;
    } catch (error) {
      if (isKubeError(error, 'kube.not-found')) return false;
      throw error;
    }
  }

  /** A kind that is not known yet is looked for once more: its definition may be new. */
  async function kindOf(group: string, kind: string): Promise<KindRef | undefined> {
    const find = (): KindRef | undefined => served.find((known) => known.kind === kind && known.group === group);
    const known = find();
    if (known) return known;
    served = await discoverKinds(client, signal);
    return find();
  }

  async function collectWithNode(key: string, pod: KubeObject): Promise<void> {
    const nodeName = pods.store.get(objectKey(pod))?.spec.nodeName;
    if (!nodeName || nodes.store.has(nodeName)) return;
    const sinceMs = missingSince.get(nodeName) ?? clock.nowMs();
    missingSince.set(nodeName, sinceMs);
    const leftMs = sinceMs + nodeGraceMs - clock.nowMs();
    if (leftMs > 0) queue.addAfter(key, leftMs);
    else await remove(kinds.Pod, pod, 0);
  }

  async function remove(
    kind: KindRef,
    { metadata: { name = '', namespace, uid = '' } }: KubeObject,
    gracePeriodSeconds?: number,
    propagationPolicy: 'Foreground' | 'Background' = 'Background',
  ): Promise<void> {
    const options = { preconditions: { uid }, propagationPolicy, signal };
    try {
      await client.delete(
        kind,
        name,
        namespace,
        gracePeriodSeconds === undefined ? options : { ...options, gracePeriodSeconds },
      );
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  }
}

function isForeground({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(foregroundFinalizer) === true;
}

/** `apps/Deployment default/x` */
function keyOf({ group, kind }: Pick<KindRef, 'group' | 'kind'>, key: string): string {
  return `${group}/${kind} ${key}`;
}
