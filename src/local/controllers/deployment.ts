/** Deployments: a ReplicaSet for each pod template, and the way from one to the next. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type Deployment, type ReplicaSet } from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { deploymentStatus, untilStuckMs } from './deployment-status.ts';
import { controllerOf, controllerReference, isControlledBy, isFinished } from './ownership.ts';
import {
  planRecreate,
  planRollingUpdate,
  revisionAnnotation,
  revisionOf,
  rolloutLimits,
  sizeOf,
  sizeOfNew,
  templateHash,
  templateHashLabel,
  type Sizes,
} from './rollout.ts';
import { statusPatch } from './status-patch.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'deployment-controller';
/** Not copied from a Deployment to its ReplicaSets. */
const ownAnnotations = new Set(['kubectl.kubernetes.io/last-applied-configuration', revisionAnnotation]);

export function createDeploymentController(cluster: Cluster): Controller {
  const { client, clock, deployments, replicaSets, pods, signal, events } = cluster;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('deployment'), clock });

  deployments.onChange((after, before) => {
    const object = after ?? before;
    if (object) queue.add(objectKey(object));
  });
  replicaSets.onChange((after, before) => {
    const object = after ?? before;
    const owner = object && controllerOf(object);
    if (owner?.kind === 'Deployment') queue.add(`${object?.metadata.namespace}/${owner.name}`);
  });
  // A Recreate waits for the last old pod to be gone, which its ReplicaSet does not count any more.
  pods.onChange((after, before) => {
    if (after && !after.metadata.deletionTimestamp) return;
    const owner = before && controllerOf(before);
    const set = owner && replicaSets.store.get(`${before?.metadata.namespace}/${owner.name}`);
    const deployment = set && controllerOf(set);
    if (deployment) queue.add(`${set?.metadata.namespace}/${deployment.name}`);
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const deployment = deployments.store.get(key);
    if (!deployment || deployment.metadata.deletionTimestamp || !isLive(cluster, deployment.metadata.namespace)) return;
    const owned = [...replicaSets.store.values()].filter(
      (set) => set.metadata.namespace === deployment.metadata.namespace && isControlledBy(set, deployment),
    );
    const sets = owned.filter(({ metadata }) => !metadata.deletionTimestamp);
    const hash = templateHash(deployment.spec.template, deployment.status?.collisionCount);
    let current = sets.find((set) => set.metadata.labels?.[templateHashLabel] === hash);
    const old = sets.filter((set) => set !== current);
    if (deployment.spec.paused) {
      await resize(deployment, pausedSizes(deployment, sets), sets);
    } else {
      const recreate = deployment.spec.strategy?.type === 'Recreate';
      const oldPods = recreate ? countPods(deployment, old, (pod) => !isFinished(pod)) : 0;
      current = await ensureCurrent({
        deployment,
        current,
        old,
        hash,
        size: recreate ? 0 : sizeOfNew(rolloutLimits(deployment), undefined, old),
      });
      if (!current) return;
      const limits = rolloutLimits(deployment);
      const sizes = recreate ? planRecreate(limits, current, old, oldPods) : planRollingUpdate(limits, current, old);
      await resize(deployment, sizes, [current, ...old]);
    }
    await writeStatus(deployment, current, old);
    await prune(deployment, current, old);
  }

  /** The ReplicaSet of the template, with the newest revision. Undefined when the next pass has to look again. */
  async function ensureCurrent(wanted: {
    deployment: Deployment;
    current: ReplicaSet | undefined;
    old: readonly ReplicaSet[];
    hash: string;
    size: number;
  }): Promise<ReplicaSet | undefined> {
    const { deployment, current, old, hash, size } = wanted;
    const newest = Math.max(0, ...old.map(revisionOf));
    const revision = String(current && revisionOf(current) > newest ? revisionOf(current) : newest + 1);
    const annotations = annotationsOf(deployment, revision);
    let result = current;
    if (!current) result = await createCurrent(deployment, hash, size, annotations);
    else if (!isDeepStrictEqual({ ...current.metadata.annotations, ...annotations }, current.metadata.annotations)) {
      result = await client.patch(
        kinds.ReplicaSet,
        current.metadata.name ?? '',
        current.metadata.namespace,
        { metadata: { annotations } },
        { type: 'merge', signal },
      );
    }
    if (result && deployment.metadata.annotations?.[revisionAnnotation] !== revision) {
      const { name = '', namespace } = deployment.metadata;
      await client.patch(
        kinds.Deployment,
        name,
        namespace,
        { metadata: { annotations: { [revisionAnnotation]: revision } } },
        { type: 'merge', signal },
      );
    }
    return result;
  }

  async function createCurrent(
    deployment: Deployment,
    hash: string,
    size: number,
    annotations: Record<string, string>,
  ): Promise<ReplicaSet | undefined> {
    const { name = '', namespace = '' } = deployment.metadata;
    const { spec } = deployment;
    const labels = { ...spec.template.metadata?.labels, [templateHashLabel]: hash };
    const set: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels,
        annotations,
        ownerReferences: [controllerReference(kinds.Deployment, deployment)],
      },
      spec: {
        replicas: size,
        ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [templateHashLabel]: hash } },
        template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      },
    };
    try {
      const made = await client.create(kinds.ReplicaSet, set, signal);
      events.write(kinds.Deployment, deployment, {
        component,
        type: 'Normal',
        reason: 'ScalingReplicaSet',
        message: `Scaled up replica set ${made.metadata.name} from 0 to ${size}`,
      });
      return made;
    } catch (error) {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
      const existing = await client.get(kinds.ReplicaSet, `${name}-${hash}`, namespace, signal);
      if (isControlledBy(existing, deployment)) return existing;
      // Somebody else has the name: the next hash differs.
      const status = { collisionCount: (deployment.status?.collisionCount ?? 0) + 1 };
      await client.patch(
        kinds.Deployment,
        name,
        namespace,
        { status },
        { type: 'merge', subresource: 'status', signal },
      );
      return undefined;
    }
  }

  async function resize(deployment: Deployment, sizes: Sizes, sets: readonly ReplicaSet[]): Promise<void> {
    for (const set of sets) {
      const { name = '', namespace } = set.metadata;
      const size = sizes.get(name);
      if (size === undefined || size === sizeOf(set)) continue;
      await client.patch(kinds.ReplicaSet, name, namespace, { spec: { replicas: size } }, { type: 'merge', signal });
      const direction = size > sizeOf(set) ? 'up' : 'down';
      events.write(kinds.Deployment, deployment, {
        component,
        type: 'Normal',
        reason: 'ScalingReplicaSet',
        message: `Scaled ${direction} replica set ${name} from ${sizeOf(set)} to ${size}`,
      });
    }
  }

  function countPods(
    deployment: Deployment,
    sets: readonly ReplicaSet[],
    counts: (pod: Parameters<typeof isFinished>[0]) => boolean,
  ): number {
    const owners = new Set(sets.map(({ metadata }) => metadata.uid));
    return [...pods.store.values()].filter(
      (pod) =>
        pod.metadata.namespace === deployment.metadata.namespace && owners.has(controllerOf(pod)?.uid) && counts(pod),
    ).length;
  }

  async function writeStatus(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<void> {
    const sets = current ? [current, ...old] : old;
    const terminating = countPods(deployment, sets, ({ metadata }) => metadata.deletionTimestamp !== undefined);
    const nowMs = clock.nowMs();
    const status = deploymentStatus({ deployment, current, old, terminating, nowMs });
    const waitMs = untilStuckMs(deployment, status, nowMs);
    if (waitMs !== undefined) queue.addAfter(objectKey(deployment), waitMs);
    const changed = statusPatch(deployment.status, status, ['terminatingReplicas', 'collisionCount']);
    if (!changed) return;
    const { name = '', namespace } = deployment.metadata;
    await client.patch(
      kinds.Deployment,
      name,
      namespace,
      { status: changed },
      { type: 'merge', subresource: 'status', signal },
    );
  }

  /** Old ReplicaSets beyond the history limit go, once the rollout is done. */
  async function prune(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<void> {
    const replicas = deployment.spec.replicas ?? 1;
    if ((current?.status?.availableReplicas ?? 0) !== replicas) return;
    const idle = old
      .filter((set) => sizeOf(set) === 0 && (set.status?.replicas ?? 0) === 0)
      .toSorted((a, b) => revisionOf(a) - revisionOf(b));
    for (const { metadata } of idle.slice(0, Math.max(0, idle.length - (deployment.spec.revisionHistoryLimit ?? 10)))) {
      const { name = '', namespace, uid = '' } = metadata;
      await client.delete(kinds.ReplicaSet, name, namespace, { preconditions: { uid }, signal });
    }
  }
}

/** While paused, only the number of replicas counts: the newest living ReplicaSet takes the difference. */
function pausedSizes(deployment: Deployment, sets: readonly ReplicaSet[]): Sizes {
  const living = sets.filter((set) => sizeOf(set) > 0).toSorted((a, b) => revisionOf(b) - revisionOf(a));
  const newest = living[0] ?? sets.toSorted((a, b) => revisionOf(b) - revisionOf(a))[0];
  if (!newest) return new Map();
  const others = living.slice(1).reduce((sum, set) => sum + sizeOf(set), 0);
  return new Map([[newest.metadata.name ?? '', Math.max(0, (deployment.spec.replicas ?? 1) - others)]]);
}

function annotationsOf(deployment: Deployment, revision: string): Record<string, string> {
  const { replicas, surge } = rolloutLimits(deployment);
  const inherited = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !ownAnnotations.has(key));
  return {
    ...Object.fromEntries(inherited),
    [revisionAnnotation]: revision,
    'deployment.kubernetes.io/desired-replicas': String(replicas),
    'deployment.kubernetes.io/max-replicas': String(replicas + surge),
  };
}
