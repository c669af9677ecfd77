/** Merging the conditions that we own into those of an object. Pure. */
import type { Condition } from '../api/meta.ts';

export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/**
 * The list to write, or undefined when the object says it already. Conditions of other types stay as they are; an absent
 * verdict takes its condition away.
 */
export function mergeConditions(
  before: readonly Condition[],
  wanted: Readonly<Record<string, Verdict | undefined>>,
  about: { readonly generation: number | undefined; readonly nowMs: number },
): Condition[] | undefined {
  let changed = false;
  const next = before.filter(({ type }) => !Object.hasOwn(wanted, type));
  for (const [type, verdict] of Object.entries(wanted)) {
    const old = before.find((condition) => condition.type === type);
    if (!verdict) {
      changed ||= old !== undefined;
      continue;
    }
    const { status, reason, message } = verdict;
    const same =
      old?.status === status &&
      old.reason === reason &&
      old.message === message &&
      old.observedGeneration === about.generation;
    changed ||= !same;
    next.push({
      type,
      status,
      reason,
      message,
      lastTransitionTime:
        old?.status === status ? old.lastTransitionTime : `${new Date(about.nowMs).toISOString().slice(0, 19)}Z`,
      ...(about.generation === undefined ? {} : { observedGeneration: about.generation }),
    });
  }
  return changed ? next : undefined;
}
