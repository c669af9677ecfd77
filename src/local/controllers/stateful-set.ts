/** StatefulSets: pods with names and claims that stay, made, updated and deleted in order. */
import { kinds, type ControllerRevision, type Pod, type StatefulSet } from '../../api/index.ts';
import { isKubeError, objectKey } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { controllerReference } from './ownership.ts';
import { allSettled, createPodWriter, echoTimeoutMs, podOf } from './pod-writer.ts';
import { createRevisionWriter, planPrune, podRevisionLabel, revisionHashLabel, templateOf } from './revisions.ts';
import {
  ordinalOf,
  planStatefulSet,
  statefulStatus,
  untilNextAvailableMs,
  type StatefulInput,
} from './stateful-plan.ts';
import { statusPatch } from './status-patch.ts';
import { createWorkQueue } from './work-queue.ts';

const component = 'statefulset-controller';

export function createStatefulSetController(cluster: Cluster): Controller {
  const { client, clock, statefulSets, claims, signal } = cluster;
  const kind = kinds.StatefulSet;
  const queue = createWorkQueue({ reconcile, signal, log: cluster.log.child('statefulset'), clock });
  const onChange = (key: string): void => queue.add(key);
  const writer = createPodWriter(cluster, {
    kind,
    component,
    onChange,
    describe: (verb, { metadata }, pod) => `${verb} Pod ${pod} in StatefulSet ${metadata.name} successful`,
  });
  const revisions = createRevisionWriter(cluster, { kind, hashLabel: revisionHashLabel, onChange });

  statefulSets.onChange((after, before) => {
    const object = after ?? before;
    if (!object) return;
    if (!after) writer.forget(objectKey(object));
    queue.add(objectKey(object));
  });
  return queue;

  async function reconcile(key: string): Promise<void> {
    const set = statefulSets.store.get(key);
    if (!set || set.metadata.deletionTimestamp || !isLive(cluster, set.metadata.namespace)) return;
    const claimed = await writer.claim(set, set.spec.selector);
    const pods = claimed.filter((pod) => ordinalOf(set, pod) >= 0);
    const known = await revisions.claim(set);
    const update = await revisions.ensure(set, known);
    if (!update) return;
    const current = known.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
    const input: StatefulInput = { set, pods, current, update, nowMs: clock.nowMs() };
    if (writer.isSettled(key)) await act(input);
    await writeStatus(input);
    const isUsed = ({ metadata: { name } }: ControllerRevision): boolean =>
      [current, update].some(({ metadata }) => metadata.name === name) ||
      pods.some(({ metadata }) => metadata.labels?.[podRevisionLabel] === name);
    await revisions.remove(planPrune(set, known, isUsed));
    if (!writer.isSettled(key)) queue.addAfter(key, echoTimeoutMs);
  }

  async function act(input: StatefulInput): Promise<void> {
    const { set } = input;
    const { create, remove } = planStatefulSet(input);
    await allSettled([
      ...create.map(({ ordinal, revision }) => createPod(set, ordinal, revision)),
      ...remove.map((pod) => writer.remove(set, pod)),
    ]);
  }

  async function createPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Promise<void> {
    await ensureClaims(set, ordinal);
    await writer.create(set, statefulPod(set, ordinal, revision));
  }

  /** Claims stay when their pod or their StatefulSet goes, unless the retention policy says otherwise. */
  async function ensureClaims(set: StatefulSet, ordinal: number): Promise<void> {
    const { namespace = '' } = set.metadata;
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const name = claimName(set, template.metadata?.name ?? '', ordinal);
      if (claims.store.has(`${namespace}/${name}`)) continue;
      const isOwned = set.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
      const claim = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name,
          namespace,
          labels: { ...template.metadata?.labels, ...set.spec.selector.matchLabels },
          ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
          ...(isOwned && { ownerReferences: [controllerReference(kind, set)] }),
        },
        spec: template.spec ?? {},
      };
      await client.create(kinds.PersistentVolumeClaim, claim, signal).catch((error: unknown) => {
        if (!isKubeError(error, 'kube.already-exists')) throw error;
      });
    }
  }

  async function writeStatus(input: StatefulInput): Promise<void> {
    const { set } = input;
    const waitMs = untilNextAvailableMs(input);
    if (waitMs !== undefined) queue.addAfter(objectKey(set), waitMs + 1);
    const status = statusPatch(set.status, statefulStatus(input), ['replicas', 'availableReplicas', 'collisionCount']);
    if (!status) return;
    const { name = '', namespace } = set.metadata;
    await client.patch(kind, name, namespace, { status }, { type: 'merge', subresource: 'status', signal });
  }
}

/** The pod of an ordinal: it has a name, a host name and claims of its own. */
function statefulPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podOf(kinds.StatefulSet, set, templateOf(revision), { name });
  pod.metadata.labels = {
    ...pod.metadata.labels,
    'apps.kubernetes.io/pod-index': String(ordinal),
    [podRevisionLabel]: revision.metadata.name ?? '',
    'statefulset.kubernetes.io/pod-name': name,
  };
  pod.spec.hostname = name;
  if (set.spec.serviceName) pod.spec.subdomain = set.spec.serviceName;
  const claimed = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => {
    const volume = metadata?.name ?? '';
    return { name: volume, persistentVolumeClaim: { claimName: claimName(set, volume, ordinal) } };
  });
  if (claimed.length === 0) return pod;
  const names = new Set(claimed.map((volume) => volume.name));
  pod.spec.volumes = [...claimed, ...(pod.spec.volumes ?? []).filter((volume) => !names.has(volume.name))];
  return pod;
}

function claimName(set: StatefulSet, volume: string, ordinal: number): string {
  return `${volume}-${set.metadata.name}-${ordinal}`;
}
