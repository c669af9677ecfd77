/** ReplicaSets: as many pods as the object says, the worst ones removed first. */
import { kinds, matchesSelector, type Pod, type ReplicaSet, type ReplicaSetStatus } from '../../api/index.ts';
import { objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { isActive, isFinished, isReady, untilAvailableMs } from './ownership.ts';
import { allSettled, createPodWriter, echoTimeoutMs, podOf } from './pod-writer.ts';
import { statusPatch } from './status-patch.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'replicaset-controller';
/** Pods made or deleted in one pass; the rest follow at once after it. */
const burst = 25;

export function createReplicaSetController(cluster: Cluster): Controller {
  const { client, clock, replicaSets, signal } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('replicaset'), clock });
  const writer = createPodWriter(cluster, { kind: kinds.ReplicaSet, component, onChange: (key) => queue.add(key) });

  replicaSets.onChange((after, before) => {
    const object = after ?? before;
    if (!object) return;
    if (!after) writer.forget(objectKey(object));
    queue.add(objectKey(object));
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const set = replicaSets.store.get(key);
    if (!set || set.metadata.deletionTimestamp || !isLive(cluster, set.metadata.namespace)) return;
    const mine = await writer.claim(set, set.spec.selector);
    const active = mine.filter(isActive);
    if (writer.isSettled(key)) {
      const surplus = active.length - (set.spec.replicas ?? 1);
      const count = Math.min(Math.abs(surplus), burst);
      if (surplus < 0) await allSettled(Array.from({ length: count }, () => createPod(set)));
      else if (surplus > 0)
        await allSettled(
          rankForDeletion(active)
            .slice(0, count)
            .map((pod) => writer.remove(set, pod)),
        );
      if (Math.abs(surplus) > burst) queue.add(key);
    }
    await writeStatus(set, active, mine);
    if (!writer.isSettled(key)) queue.addAfter(key, echoTimeoutMs);
  }

  async function createPod(set: ReplicaSet): Promise<void> {
    if (!set.spec.template) return;
    const name = { generateName: `${set.metadata.name}-` };
    await writer.create(set, podOf(kinds.ReplicaSet, set, set.spec.template, name));
  }

  async function writeStatus(set: ReplicaSet, active: readonly Pod[], all: readonly Pod[]): Promise<void> {
    const labels = { matchLabels: set.spec.template?.metadata?.labels ?? {} };
    const waits = active.map((pod) => untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, clock.nowMs()));
    const status: ReplicaSetStatus = {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => matchesSelector(pod.metadata.labels, labels)).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      terminatingReplicas: all.filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod)).length,
      observedGeneration: set.metadata.generation ?? 0,
    };
    const soonest = Math.min(...waits.filter((wait) => wait !== undefined && wait > 0).map((wait) => wait ?? 0));
    if (Number.isFinite(soonest)) queue.addAfter(objectKey(set), soonest + 1);
    const changed = statusPatch(set.status, status, ['replicas', 'terminatingReplicas']);
    if (!changed) return;
    const { name = '', namespace } = set.metadata;
    await client.patch(
      kinds.ReplicaSet,
      name,
      namespace,
      { status: changed },
      { type: 'merge', subresource: 'status', signal },
    );
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
