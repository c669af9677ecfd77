/** The history of a template as ControllerRevisions, for StatefulSets and DaemonSets. */
import { isDeepStrictEqual } from 'node:util';
import {
  kinds,
  matchesSelector,
  type ControllerRevision,
  type KindRef,
  type KubeObject,
  type LabelSelector,
  type PodTemplateSpec,
} from '../../api/index.ts';
import { isKubeError } from '../../kube/index.ts';
import type { Cluster } from './cluster.ts';
import { controllerOf, controllerReference, isControlledBy } from './ownership.ts';
import { canonicalJson, safeHash } from './rollout.ts';

/** On a revision: the hash in its name. DaemonSets put it on their pods under `podRevisionLabel`. */
export const revisionHashLabel = 'controller.kubernetes.io/hash';
/** On a pod: the name of its revision (StatefulSet), or the hash of it (DaemonSet). */
export const podRevisionLabel = 'controller-revision-hash';

export interface Versioned extends KubeObject {
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly revisionHistoryLimit?: number;
  };
  readonly status?: { readonly collisionCount?: number };
}

export type RevisionPlan =
  /** The newest revision is that of the template. */
  | { readonly kind: 'current'; readonly revision: ControllerRevision }
  /** An older one is: it becomes the newest. */
  | { readonly kind: 'renumber'; readonly revision: ControllerRevision; readonly number: number }
  | { readonly kind: 'create'; readonly name: string; readonly hash: string; readonly number: number };

/** What to do so that the template has the newest revision. `known` are the owner's. */
export function planRevision(owner: Versioned, known: readonly ControllerRevision[]): RevisionPlan {
  const sorted = known.toSorted((a, b) => a.revision - b.revision);
  const data = revisionData(owner.spec.template);
  const newest = sorted.at(-1);
  const equal = sorted.findLast((revision) => isDeepStrictEqual(revision.data, data));
  if (equal && equal === newest) return { kind: 'current', revision: equal };
  const number = (newest?.revision ?? 0) + 1;
  if (equal) return { kind: 'renumber', revision: equal, number };
  const hash = safeHash(`${canonicalJson(owner.spec.template)}/${owner.status?.collisionCount ?? 0}`);
  return { kind: 'create', name: `${owner.metadata.name}-${hash}`, hash, number };
}

/** A strategic merge patch that brings the template back, as `kubectl rollout undo` applies it. */
function revisionData(template: PodTemplateSpec): Record<string, unknown> {
  return { spec: { template: { ...JSON.parse(JSON.stringify(template)), $patch: 'replace' } } };
}

/** The template of a revision. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { spec } = revision.data as { spec: { template: PodTemplateSpec & { $patch?: string } } };
  const { $patch: _, ...template } = spec.template;
  return template;
}

export function hashOf(revision: ControllerRevision): string {
  return revision.metadata.labels?.[revisionHashLabel] ?? revision.metadata.labels?.[podRevisionLabel] ?? '';
}

/** Revisions beyond the limit that no pod and no status names, oldest first. */
export function planPrune(
  owner: Versioned,
  known: readonly ControllerRevision[],
  isUsed: (revision: ControllerRevision) => boolean,
): ControllerRevision[] {
  const idle = known.filter((revision) => !isUsed(revision)).toSorted((a, b) => a.revision - b.revision);
  return idle.slice(0, Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10)));
}

export interface RevisionWriter {
  /** The owner's revisions, with orphans adopted. */
  claim(owner: Versioned): Promise<ControllerRevision[]>;
  /** The revision of the template, made or renumbered as needed; undefined when another pass has to look again. */
  ensure(owner: Versioned, known: readonly ControllerRevision[]): Promise<ControllerRevision | undefined>;
  remove(revisions: readonly ControllerRevision[]): Promise<void>;
}

export interface RevisionWriterOptions {
  readonly kind: KindRef<KubeObject>;
  /** The label of a revision that holds its hash. */
  readonly hashLabel: string;
  /** Called with the owner's key when one of its revisions changed. */
  readonly onChange: (key: string) => void;
}

export function createRevisionWriter(cluster: Cluster, options: RevisionWriterOptions): RevisionWriter {
  const { client, revisions, signal } = cluster;
  const { kind, hashLabel, onChange } = options;
  revisions.onChange((after, before) => {
    const revision = after ?? before;
    const owner = revision && controllerOf(revision);
    if (owner?.kind === kind.kind) onChange(`${revision?.metadata.namespace}/${owner.name}`);
  });
  return { claim, ensure, remove };

  async function claim(owner: Versioned): Promise<ControllerRevision[]> {
    const claimed: ControllerRevision[] = [];
    for (const revision of revisions.store.values()) {
      if (revision.metadata.namespace !== owner.metadata.namespace || revision.metadata.deletionTimestamp) continue;
      if (isControlledBy(revision, owner)) claimed.push(revision);
      else if (!controllerOf(revision) && matchesSelector(revision.metadata.labels, owner.spec.selector)) {
        const ownerReferences = [...(revision.metadata.ownerReferences ?? []), controllerReference(kind, owner)];
        claimed.push(await patch(revision, { metadata: { ownerReferences } }));
      }
    }
    return claimed;
  }

  async function ensure(
    owner: Versioned,
    known: readonly ControllerRevision[],
  ): Promise<ControllerRevision | undefined> {
    const plan = planRevision(owner, known);
    switch (plan.kind) {
      case 'current':
        return plan.revision;
      case 'renumber':
        return patch(plan.revision, { revision: plan.number });
      case 'create':
        return create(owner, plan);
    }
  }

  async function create(
    owner: Versioned,
    { name, hash, number }: RevisionPlan & { kind: 'create' },
  ): Promise<ControllerRevision | undefined> {
    const { namespace = '', annotations } = owner.metadata;
    const revision: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name,
        namespace,
        labels: { ...owner.spec.template.metadata?.labels, [hashLabel]: hash },
        ...(annotations && { annotations }),
        ownerReferences: [controllerReference(kind, owner)],
      },
      data: revisionData(owner.spec.template),
      revision: number,
    };
    try {
      return await client.create(kinds.ControllerRevision, revision, signal);
    } catch (error) {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
      const existing = await client.get(kinds.ControllerRevision, name, namespace, signal);
      if (isControlledBy(existing, owner) && isDeepStrictEqual(existing.data, revision.data)) return existing;
      // Somebody else has the name: the next hash differs.
      const status = { collisionCount: (owner.status?.collisionCount ?? 0) + 1 };
      const options = { type: 'merge', subresource: 'status', signal } as const;
      await client.patch(kind, owner.metadata.name ?? '', namespace, { status }, options);
      return undefined;
    }
  }

  async function remove(unused: readonly ControllerRevision[]): Promise<void> {
    for (const { metadata } of unused) {
      const { name = '', namespace, uid = '' } = metadata;
      await client.delete(kinds.ControllerRevision, name, namespace, { preconditions: { uid }, signal });
    }
  }

  function patch(revision: ControllerRevision, change: object): Promise<ControllerRevision> {
    const { name = '', namespace } = revision.metadata;
    return client.patch(kinds.ControllerRevision, name, namespace, change, { type: 'merge', signal });
  }
}
