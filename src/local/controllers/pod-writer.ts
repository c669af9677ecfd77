/** How a workload controller makes, deletes, adopts and releases its pods, and knows which of its writes it has not seen yet. */
import {
  kinds,
  matchesSelector,
  type KindRef,
  type KubeObject,
  type LabelSelector,
  type Pod,
  type PodTemplateSpec,
} from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { isLive, type Cluster } from './cluster.ts';
import { controllerOf, controllerReference } from './ownership.ts';

/** A write that the informer has not shown by then is taken as lost. */
export const echoTimeoutMs = 30_000;

export interface PodWriterOptions {
  readonly kind: KindRef;
  /** `replicaset-controller` */
  readonly component: string;
  /** Called with the owner's key when one of its pods changed. */
  readonly onChange: (key: string) => void;
  /** The text of an event about a pod; default `Created pod: NAME`. */
  readonly describe?: (verb: 'create' | 'delete', owner: KubeObject, pod: string) => string;
}

export interface PodWriter {
  /** The owner's pods, once orphans that it selects are adopted and those that it selects no more are let go. */
  claim(owner: KubeObject, selector: LabelSelector): Promise<Pod[]>;
  /** Whether the informer has shown every write for the owner: else its pods are not as they look. */
  isSettled(key: string): boolean;
  create(owner: KubeObject, pod: Pod): Promise<void>;
  remove(owner: KubeObject, pod: Pod): Promise<void>;
  /** To be called when the owner is gone. */
  forget(key: string): void;
}

interface Echoes {
  readonly created: Map<string, number>;
  readonly deleted: Map<string, number>;
}

export function createPodWriter(cluster: Cluster, options: PodWriterOptions): PodWriter {
  const { client, clock, pods, podIndex, signal, events } = cluster;
  const { kind, component, onChange } = options;
  const pending = new Map<string, Echoes>();
  const describe =
    options.describe ?? ((verb, _, pod): string => `${verb === 'create' ? 'Created' : 'Deleted'} pod: ${pod}`);

  pods.onChange((after, before) => {
    const pod = after ?? before;
    if (!pod) return;
    for (const owner of new Set([controllerOf(pod), before && controllerOf(before)])) {
      if (owner?.kind !== kind.kind) continue;
      const key = `${pod.metadata.namespace}/${owner.name}`;
      const echoes = pending.get(key);
      const { uid = '' } = pod.metadata;
      echoes?.created.delete(uid);
      if (!after || after.metadata.deletionTimestamp) echoes?.deleted.delete(uid);
      onChange(key);
    }
  });
  return { claim, isSettled, create, remove, forget: (key) => void pending.delete(key) };

  async function claim(owner: KubeObject, selector: LabelSelector): Promise<Pod[]> {
    const { uid = '', namespace = '' } = owner.metadata;
    const claimed: Pod[] = [];
    for (const pod of podIndex.ownedBy(uid)) {
      if (matchesSelector(pod.metadata.labels, selector) || pod.metadata.deletionTimestamp) claimed.push(pod);
      else
        await setOwners(
          pod,
          (pod.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid),
        );
    }
    for (const pod of podIndex.orphansIn(namespace)) {
      if (pod.metadata.deletionTimestamp || !matchesSelector(pod.metadata.labels, selector)) continue;
      const owners = [...(pod.metadata.ownerReferences ?? []), controllerReference(kind, owner)];
      const adopted = await setOwners(pod, owners);
      if (adopted) claimed.push(adopted);
    }
    return claimed;
  }

  async function setOwners(pod: Pod, ownerReferences: Pod['metadata']['ownerReferences']): Promise<Pod | undefined> {
    const { name = '', namespace, uid, resourceVersion } = pod.metadata;
    const patch = { metadata: { uid, resourceVersion, ownerReferences } };
    try {
      return await client.patch(kinds.Pod, name, namespace, patch, { type: 'merge', signal });
    } catch (error) {
      if (isKubeError(error, 'kube.not-found')) return undefined;
      throw error;
    }
  }

  function isSettled(key: string): boolean {
    const { created, deleted } = echoesOf(key);
    const oldestMs = clock.nowMs() - echoTimeoutMs;
    for (const map of [created, deleted]) for (const [uid, atMs] of map) if (atMs < oldestMs) map.delete(uid);
    return created.size + deleted.size === 0;
  }

  async function create(owner: KubeObject, pod: Pod): Promise<void> {
    const { namespace } = owner.metadata;
    try {
      const made = await client.create(kinds.Pod, pod, signal);
      const { uid = '', name = '' } = made.metadata;
      // The informer may have been faster than the answer.
      if (pods.store.get(objectKey(made))?.metadata.uid !== uid)
        echoesOf(objectKey(owner)).created.set(uid, clock.nowMs());
      const message = describe('create', owner, name);
      events.write(kind, owner, { component, type: 'Normal', reason: 'SuccessfulCreate', message });
    } catch (error) {
      const isExpected = isKubeError(error, 'kube.already-exists') || !isLive(cluster, namespace) || signal.aborted;
      if (!isExpected) {
        const message = `Error creating: ${messageOf(error)}`;
        events.write(kind, owner, { component, type: 'Warning', reason: 'FailedCreate', message });
      }
      throw error;
    }
  }

  async function remove(owner: KubeObject, pod: Pod): Promise<void> {
    const { name = '', namespace, uid = '' } = pod.metadata;
    const { deleted } = echoesOf(objectKey(owner));
    deleted.set(uid, clock.nowMs());
    try {
      await client.delete(kinds.Pod, name, namespace, { preconditions: { uid }, signal });
    } catch (error) {
      deleted.delete(uid);
      if (isKubeError(error, 'kube.not-found')) return;
      throw error;
    }
    const message = describe('delete', owner, name);
    events.write(kind, owner, { component, type: 'Normal', reason: 'SuccessfulDelete', message });
  }

  function echoesOf(key: string): Echoes {
    let echoes = pending.get(key);
    if (!echoes) pending.set(key, (echoes = { created: new Map(), deleted: new Map() }));
    return echoes;
  }
}

/** A pod as the template of its owner says; the caller adds the rest to the copy. */
export function podOf(
  kind: KindRef,
  owner: KubeObject,
  template: PodTemplateSpec,
  name: { readonly name: string } | { readonly generateName: string },
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...name,
      namespace: owner.metadata.namespace ?? '',
      ownerReferences: [controllerReference(kind, owner)],
      ...(labels && { labels: { ...labels } }),
      ...(annotations && { annotations: { ...annotations } }),
      ...(finalizers && { finalizers: [...finalizers] }),
    },
    spec: structuredClone(template.spec),
  };
}

/** Waits for all, then throws the first failure: a sibling's write must not be forgotten. */
export async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
