/** How a Deployment moves from its old ReplicaSets to the new one: decisions only (`pkg/controller/deployment/rolling.go`). */
import { createHash } from 'node:crypto';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../../api/index.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const templateHashLabel = 'pod-template-hash';

/** Characters that cannot spell anything, as Kubernetes uses them in generated names. */
const safeAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Same template, same hash; `collisions` sets it apart from a name that somebody else took. */
export function templateHash(template: PodTemplateSpec, collisions = 0): string {
  return safeHash(`${canonicalJson(template)}/${collisions}`);
}

/** A name for a text, in characters that cannot spell anything. */
export function safeHash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  return Array.from(digest.subarray(0, 10), (byte) => safeAlphabet[byte % safeAlphabet.length]).join('');
}

export interface RolloutLimits {
  readonly replicas: number;
  /** Pods there may be beyond `replicas`. */
  readonly surge: number;
  /** Pods that may be missing from `replicas`. */
  readonly unavailable: number;
}

/** Percentages: surge rounds up, unavailable down; both 0 would never move. */
export function rolloutLimits({ spec }: Deployment): RolloutLimits {
  const replicas = spec.replicas ?? 1;
  if (spec.strategy?.type === 'Recreate') return { replicas, surge: 0, unavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(share(maxUnavailable, replicas, Math.floor), replicas);
  return { replicas, surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** New sizes by ReplicaSet name; only those that change. */
export type Sizes = ReadonlyMap<string, number>;

/** One step of a rolling update. `old` are the other ReplicaSets of the Deployment. */
export function planRollingUpdate(limits: RolloutLimits, current: ReplicaSet, old: readonly ReplicaSet[]): Sizes {
  const sizes = new Map<string, number>();
  const grown = sizeOfNew(limits, current, old);
  if (grown !== sizeOf(current)) {
    sizes.set(nameOf(current), grown);
    // As Kubernetes: one direction a step, so that each step sees the result of the one before.
    return sizes;
  }
  planOld(limits, current, old, sizes);
  return sizes;
}

/** Everything old goes to 0, before anything new starts. */
export function planRecreate(
  limits: RolloutLimits,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  oldPodsLeft: number,
): Sizes {
  const sizes = new Map(old.filter((set) => sizeOf(set) > 0).map((set) => [nameOf(set), 0]));
  if (sizes.size === 0 && oldPodsLeft === 0 && current && sizeOf(current) !== limits.replicas)
    sizes.set(nameOf(current), limits.replicas);
  return sizes;
}

/** How big the new ReplicaSet may be now. */
export function sizeOfNew(
  { replicas, surge }: RolloutLimits,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): number {
  const size = current ? sizeOf(current) : 0;
  if (size >= replicas) return replicas;
  const total = size + old.reduce((sum, set) => sum + sizeOf(set), 0);
  return size + Math.max(0, Math.min(replicas + surge - total, replicas - size));
}

function planOld(
  limits: RolloutLimits,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
  sizes: Map<string, number>,
): void {
  const living = old
    .filter((set) => sizeOf(set) > 0)
    .toSorted((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''));
  if (living.length === 0) return;
  const total = sizeOf(current) + living.reduce((sum, set) => sum + sizeOf(set), 0);
  const minAvailable = limits.replicas - limits.unavailable;
  const newUnavailable = sizeOf(current) - (current.status?.availableReplicas ?? 0);
  let room = total - minAvailable - newUnavailable;
  // Pods that do not serve go first: removing them costs nothing.
  for (const set of living) {
    const sick = Math.min(sizeOf(set) - (set.status?.availableReplicas ?? 0), room);
    if (sick <= 0) continue;
    sizes.set(nameOf(set), sizeOf(set) - sick);
    room -= sick;
  }
  const available = [current, ...living].reduce((sum, set) => sum + (set.status?.availableReplicas ?? 0), 0);
  let spare = Math.min(available - minAvailable, room);
  for (const set of living) {
    const size = sizes.get(nameOf(set)) ?? sizeOf(set);
    const down = Math.min(size, spare);
    if (down <= 0) continue;
    sizes.set(nameOf(set), size - down);
    spare -= down;
  }
}

export function sizeOf(set: ReplicaSet): number {
  return set.spec.replicas ?? 1;
}

export function revisionOf(object: ReplicaSet | Deployment): number {
  return Number(object.metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
}

function nameOf(set: ReplicaSet): string {
  return set.metadata.name ?? '';
}

/** A count, or a percentage of `whole`. */
export function share(value: number | string, whole: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  return round((whole * Number.parseInt(value, 10)) / 100) || 0;
}

/** JSON with sorted keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
