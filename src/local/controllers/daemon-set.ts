/** DaemonSets: a pod on every node that its template fits. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type ControllerRevision, type DaemonSet, type Node, type Pod } from '../../api/index.ts';
import { objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { daemonStatus, planDaemonSet, tolerationsOf, type DaemonInput } from './daemon-plan.ts';
import { untilAvailableMs } from './ownership.ts';
import { allSettled, createPodWriter, echoTimeoutMs, podOf } from './pod-writer.ts';
import { createRevisionWriter, hashOf, planPrune, podRevisionLabel } from './revisions.ts';
import { statusPatch } from './status-patch.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'daemonset-controller';
const always = ['currentNumberScheduled', 'desiredNumberScheduled', 'numberMisscheduled', 'numberReady'] as const;

export function createDaemonSetController(cluster: Cluster): Controller {
  const { client, clock, daemonSets, nodes, signal } = cluster;
  const kind = kinds.DaemonSet;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('daemonset'), clock });
  const onChange = (key: string): void => queue.add(key);
  const writer = createPodWriter(cluster, { kind, component, onChange });
  const revisions = createRevisionWriter(cluster, { kind, hashLabel: podRevisionLabel, onChange });

  daemonSets.onChange((after, before) => {
    const object = after ?? before;
    if (!object) return;
    if (!after) writer.forget(objectKey(object));
    queue.add(objectKey(object));
  });
  nodes.onChange((after, before) => {
    // Heartbeats do not matter.
    if (after && before && isDeepStrictEqual(relevantPart(after), relevantPart(before))) return;
    for (const key of daemonSets.store.keys()) queue.add(key);
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const set = daemonSets.store.get(key);
    if (!set || set.metadata.deletionTimestamp || !isLive(cluster, set.metadata.namespace)) return;
    const pods = await writer.claim(set, set.spec.selector);
    const known = await revisions.claim(set);
    const revision = await revisions.ensure(set, known);
    if (!revision) return;
    const hash = hashOf(revision);
    const input: DaemonInput = { set, nodes: [...nodes.store.values()], pods, hash, nowMs: clock.nowMs() };
    if (writer.isSettled(key)) {
      const { create, remove } = planDaemonSet(input);
      await allSettled([
        ...create.map((node) => writer.create(set, daemonPod(set, node, hash))),
        ...remove.map((pod) => writer.remove(set, pod)),
      ]);
    }
    await writeStatus(input);
    const used = new Set(pods.map(({ metadata }) => metadata.labels?.[podRevisionLabel]));
    const isUsed = (one: ControllerRevision): boolean =>
      one.metadata.name === revision.metadata.name || used.has(hashOf(one));
    await revisions.remove(planPrune(set, known, isUsed));
    if (!writer.isSettled(key)) queue.addAfter(key, echoTimeoutMs);
  }

  async function writeStatus(input: DaemonInput): Promise<void> {
    const { set, pods, nowMs } = input;
    const waits = pods.map((pod) => untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, nowMs) ?? 0);
    const soonest = Math.min(...waits.filter((wait) => wait > 0));
    if (Number.isFinite(soonest)) queue.addAfter(objectKey(set), soonest + 1);
    const status = statusPatch(set.status, daemonStatus(input), always);
    if (!status) return;
    const { name = '', namespace } = set.metadata;
    await client.patch(kind, name, namespace, { status }, { type: 'merge', subresource: 'status', signal });
  }
}

/** What decides whether a node fits. */
function relevantPart({ metadata, spec, status }: Node): unknown {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  return [metadata.labels, metadata.deletionTimestamp, spec?.taints, spec?.unschedulable, ready];
}

/** The scheduler binds it; its affinity leaves one node to choose. */
function daemonPod(set: DaemonSet, node: string, hash: string): Pod {
  const pod = podOf(kinds.DaemonSet, set, set.spec.template, { generateName: `${set.metadata.name}-` });
  pod.metadata.labels = { ...pod.metadata.labels, [podRevisionLabel]: hash };
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } };
  const given = pod.spec.affinity?.['nodeAffinity'];
  pod.spec.affinity = { ...pod.spec.affinity, nodeAffinity: { ...(given as object | undefined), ...required } };
  pod.spec.tolerations = tolerationsOf(set);
  return pod;
}
