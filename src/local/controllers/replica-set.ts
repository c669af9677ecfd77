/** ReplicaSets: as many pods as the object says, the worst ones removed first. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, matchesSelector, type Pod, type ReplicaSet, type ReplicaSetStatus } from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { controllerOf, controllerReference, isActive, isControlledBy, isReady, untilAvailableMs } from './ownership.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'replicaset-controller';
/** Pods made or deleted in one pass; the rest follow at once after it. */
const burst = 25;
/** A write that the informer has not shown by then is taken as lost. */
const expectationMs = 30_000;

/** Writes whose echo has not come back through the informer. */
interface Expected {
  readonly created: Map<string, number>;
  readonly deleted: Map<string, number>;
}

export function createReplicaSetController(cluster: Cluster): Controller {
  const { client, clock, replicaSets, pods, signal, events } = cluster;
  const expected = new Map<string, Expected>();
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('replicaset'), clock });

  replicaSets.onChange((after, before) => {
    const object = after ?? before;
    if (!object) return;
    if (!after) expected.delete(objectKey(object));
    queue.add(objectKey(object));
  });
  pods.onChange((after, before) => {
    const pod = after ?? before;
    if (!pod) return;
    const owner = controllerOf(pod);
    if (owner?.kind !== 'ReplicaSet') return;
    const key = `${pod.metadata.namespace}/${owner.name}`;
    const echoes = expected.get(key);
    const { uid = '' } = pod.metadata;
    echoes?.created.delete(uid);
    if (!after || after.metadata.deletionTimestamp) echoes?.deleted.delete(uid);
    queue.add(key);
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const set = replicaSets.store.get(key);
    if (!set || set.metadata.deletionTimestamp || !isLive(cluster, set.metadata.namespace)) return;
    const echoes = pendingOf(key);
    const mine = [...pods.store.values()].filter(
      (pod) => pod.metadata.namespace === set.metadata.namespace && isControlledBy(pod, set),
    );
    const active = mine.filter((pod) => isActive(pod) && !echoes.deleted.has(pod.metadata.uid ?? ''));
    const surplus = active.length + echoes.created.size - (set.spec.replicas ?? 1);
    if (surplus < 0) await createPods(set, Math.min(-surplus, burst), echoes);
    else if (surplus > 0 && echoes.created.size === 0)
      await deletePods(set, rankForDeletion(active).slice(0, Math.min(surplus, burst)), echoes);
    await writeStatus(set, active);
    if (Math.abs(surplus) > burst) queue.add(key);
    if (echoes.created.size + echoes.deleted.size > 0) queue.addAfter(key, expectationMs);
  }

  function pendingOf(key: string): Expected {
    let echoes = expected.get(key);
    if (!echoes) expected.set(key, (echoes = { created: new Map(), deleted: new Map() }));
    const oldestMs = clock.nowMs() - expectationMs;
    for (const map of [echoes.created, echoes.deleted]) {
      for (const [uid, atMs] of map) if (atMs < oldestMs) map.delete(uid);
    }
    return echoes;
  }

  async function createPods(set: ReplicaSet, count: number, echoes: Expected): Promise<void> {
    const { template } = set.spec;
    if (!template) return;
    const create = async (): Promise<void> => {
      const { labels, annotations, finalizers } = template.metadata ?? {};
      const pod: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          generateName: `${set.metadata.name}-`,
          namespace: set.metadata.namespace ?? '',
          ownerReferences: [controllerReference(kinds.ReplicaSet, set)],
          ...(labels && { labels }),
          ...(annotations && { annotations }),
          ...(finalizers && { finalizers }),
        },
        spec: structuredClone(template.spec),
      };
      try {
        const made = await client.create(kinds.Pod, pod, signal);
        const { uid = '', name = '' } = made.metadata;
        // The informer may have been faster than the answer.
        if (!pods.store.has(objectKey(made))) echoes.created.set(uid, clock.nowMs());
        events.write(kinds.ReplicaSet, set, {
          component,
          type: 'Normal',
          reason: 'SuccessfulCreate',
          message: `Created pod: ${name}`,
        });
      } catch (error) {
        if (!isKubeError(error, 'kube.forbidden') || isLive(cluster, set.metadata.namespace)) {
          events.write(kinds.ReplicaSet, set, {
            component,
            type: 'Warning',
            reason: 'FailedCreate',
            message: `Error creating: ${messageOf(error)}`,
          });
        }
        throw error;
      }
    };
    await allSettled(Array.from({ length: count }, () => create()));
  }

  async function deletePods(set: ReplicaSet, victims: readonly Pod[], echoes: Expected): Promise<void> {
    const remove = async (pod: Pod): Promise<void> => {
      const { name = '', namespace, uid = '' } = pod.metadata;
      echoes.deleted.set(uid, clock.nowMs());
      try {
        await client.delete(kinds.Pod, name, namespace, { preconditions: { uid }, signal });
      } catch (error) {
        echoes.deleted.delete(uid);
        if (isKubeError(error, 'kube.not-found')) return;
        throw error;
      }
      events.write(kinds.ReplicaSet, set, {
        component,
        type: 'Normal',
        reason: 'SuccessfulDelete',
        message: `Deleted pod: ${name}`,
      });
    };
    await allSettled(victims.map(remove));
  }

  async function writeStatus(set: ReplicaSet, active: readonly Pod[]): Promise<void> {
    const labels = { matchLabels: set.spec.template?.metadata?.labels ?? {} };
    const waits = active.map((pod) => untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, clock.nowMs()));
    const status: ReplicaSetStatus = {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => matchesSelector(pod.metadata.labels, labels)).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      observedGeneration: set.metadata.generation ?? 0,
    };
    const soonest = Math.min(...waits.filter((wait) => wait !== undefined && wait > 0).map((wait) => wait ?? 0));
    if (Number.isFinite(soonest)) queue.addAfter(objectKey(set), soonest + 1);
    if (isDeepStrictEqual({ ...set.status, ...status }, set.status)) return;
    const { name = '', namespace } = set.metadata;
    await client.patch(kinds.ReplicaSet, name, namespace, { status }, { type: 'merge', subresource: 'status', signal });
  }
}

/** Those to delete first: without a node, not running, not ready, crowding a node, restarted often, newest. */
export function rankForDeletion(pods: readonly Pod[]): Pod[] {
  const perNode = new Map<string, number>();
  for (const pod of pods) perNode.set(pod.spec.nodeName ?? '', (perNode.get(pod.spec.nodeName ?? '') ?? 0) + 1);
  const phases = ['Pending', 'Unknown', 'Running'];
  const restarts = (pod: Pod): number =>
    (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
  const scores = (pod: Pod): number[] => [
    pod.spec.nodeName ? 1 : 0,
    phases.indexOf(pod.status?.phase ?? 'Pending'),
    isReady(pod) ? 1 : 0,
    -(perNode.get(pod.spec.nodeName ?? '') ?? 0),
    -restarts(pod),
    -Date.parse(pod.metadata.creationTimestamp ?? '') || 0,
  ];
  return pods
    .map((pod) => ({ pod, scores: scores(pod) }))
    .toSorted((a, b) => {
      const differing = a.scores.findIndex((score, i) => score !== b.scores[i]);
      if (differing < 0) return (a.pod.metadata.name ?? '') < (b.pod.metadata.name ?? '') ? -1 : 1;
      return (a.scores[differing] ?? 0) - (b.scores[differing] ?? 0);
    })
    .map(({ pod }) => pod);
}

/** Waits for all, then throws the first failure: a sibling's write must not be forgotten. */
async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
