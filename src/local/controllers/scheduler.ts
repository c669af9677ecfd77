/** The scheduler: gives every pending pod a node, by the binding subresource, as kube-scheduler does. */
import { kinds, type CoreCondition, type PersistentVolumeClaim, type Pod } from '../../api/index.ts';
import { objectKey } from '../../kube/index.ts';
import { timestamp, type Cluster, type Controller } from './cluster.ts';
import { isFinished } from './ownership.ts';
import { choosePlacement } from './placement.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'default-scheduler';

export function createScheduler(cluster: Cluster): Controller {
  const { client, clock, pods, nodes, claims, signal, events } = cluster;
  // One at a time: each choice counts the ones before it.
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('scheduler'), concurrency: 1, clock });
  /** Bindings that the informer has not shown yet: node by pod uid. */
  const assumed = new Map<string, string>();

  pods.onChange((after, before) => {
    const pod = after ?? before;
    if (!pod) return;
    if (!after || after.spec.nodeName) assumed.delete(pod.metadata.uid ?? '');
    if (after && isPending(after)) queue.add(objectKey(after));
  });
  nodes.onChange(() => {
    for (const [key, pod] of pods.store) if (isPending(pod)) queue.add(key);
  });
  claims.onChange(() => {
    for (const [key, pod] of pods.store) if (pod.spec.volumes && isPending(pod)) queue.add(key);
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const pod = pods.store.get(key);
    if (!pod || !isPending(pod) || assumed.has(pod.metadata.uid ?? '')) return;
    const missing = claimProblem(pod, claims.store);
    if (missing !== undefined) return reject(pod, missing);
    const placement = choosePlacement(pod, [...nodes.store.values()], placed());
    if (placement.kind === 'node') await bind(pod, placement.node);
    else await reject(pod, placement.reason);
  }

  function* placed(): Generator<Pod> {
    for (const pod of pods.store.values()) {
      const node = pod.spec.nodeName || assumed.get(pod.metadata.uid ?? '');
      if (node) yield pod.spec.nodeName ? pod : { ...pod, spec: { ...pod.spec, nodeName: node } };
    }
  }

  async function bind(pod: Pod, node: string): Promise<void> {
    const { name = '', namespace = '', uid = '' } = pod.metadata;
    const body = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    assumed.set(uid, node);
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/binding`;
      const response = await client.raw({ method: 'POST', path, body, signal });
      await response.body.text();
    } catch (error) {
      assumed.delete(uid);
      throw error;
    }
    // The informer may have been faster than the answer.
    if (pods.store.get(objectKey(pod))?.spec.nodeName) assumed.delete(uid);
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    events.write(kinds.Pod, pod, { component, type: 'Normal', reason: 'Scheduled', message });
  }

  async function reject(pod: Pod, reason: string): Promise<void> {
    const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (before?.status === 'False' && before.message === reason) return;
    const condition: CoreCondition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: reason,
      lastTransitionTime: before?.status === 'False' ? (before.lastTransitionTime ?? '') : timestamp(clock.nowMs()),
    };
    const conditions = [...(pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled'), condition];
    const { name = '', namespace } = pod.metadata;
    const patch = { status: { phase: 'Pending', conditions } };
    await client.patch(kinds.Pod, name, namespace, patch, { type: 'merge', subresource: 'status', signal });
    events.write(kinds.Pod, pod, { component, type: 'Warning', reason: 'FailedScheduling', message: reason });
  }
}

/** No volumes are made here: a pod waits for a claim until somebody binds it. */
function claimProblem(pod: Pod, claims: ReadonlyMap<string, PersistentVolumeClaim>): string | undefined {
  for (const { persistentVolumeClaim } of pod.spec.volumes ?? []) {
    if (!persistentVolumeClaim) continue;
    const { claimName } = persistentVolumeClaim;
    const claim = claims.get(`${pod.metadata.namespace}/${claimName}`);
    if (!claim) return `persistentvolumeclaim "${claimName}" not found`;
    if (claim.status?.phase !== 'Bound') return 'pod has unbound immediate PersistentVolumeClaims';
  }
  return undefined;
}

function isPending(pod: Pod): boolean {
  const { schedulerName = component, schedulingGates = [], nodeName } = pod.spec;
  return (
    !nodeName &&
    !pod.metadata.deletionTimestamp &&
    !isFinished(pod) &&
    schedulerName === component &&
    schedulingGates.length === 0
  );
}
