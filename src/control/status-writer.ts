/** Writes what discovery found of a policy into its status: one condition, only when it changes. */
import type { AuthorizationPolicy } from '../api/istio.ts';
import { kinds } from '../api/kinds.ts';
import type { Condition } from '../api/meta.ts';
import type { PolicyVerdict } from '../discovery/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { isKubeError } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

const conditionType = 'ZtunnelAccepted';

export interface JudgedPolicy {
  readonly verdict: PolicyVerdict;
  readonly generation: number | undefined;
}

export interface StatusWriterOptions {
  readonly client: KubeClient;
  /** The policy as it is now, by `namespace/name`. */
  readonly current: (name: string) => AuthorizationPolicy | undefined;
  /** What is to be said of it; undefined: nothing, and nothing that was said before. */
  readonly verdict: (name: string) => JudgedPolicy | undefined;
  /** Only the elected replica writes. */
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface StatusWriter {
  /** The verdict or the object changed; `name` is `namespace/name`. */
  changed(name: string): void;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, current, verdict, isLeader, clock, signal, log } = options;
  const reconcile = async (key: string): Promise<void> => {
    const policy = current(key);
    if (!policy || !isLeader()) return;
    const judged = verdict(key);
    // The verdict on the newest generation is on its way and will come by here.
    if (judged && judged.generation !== policy.metadata.generation) return;
    const conditions = policyConditions(policy.status?.conditions ?? [], judged, clock.nowMs());
    if (!conditions) return;
    const { name = '', namespace, resourceVersion } = policy.metadata;
    try {
      // A merge patch replaces the whole list: the resource version keeps other writers' conditions safe.
      await client.patch(
        kinds.AuthorizationPolicy,
        name,
        namespace,
        { metadata: { resourceVersion }, status: { conditions } },
        { type: 'merge', subresource: 'status', fieldManager: 'istio-ambient-ztunnel-policy', signal },
      );
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  };
  const queue = createWorkQueue({ name: 'policy status', reconcile, signal, log, clock });
  return { changed: (name) => queue.add(name) };
}

/** The conditions to write, or undefined when those there say it already. */
export function policyConditions(
  before: readonly Condition[],
  judged: JudgedPolicy | undefined,
  nowMs: number,
): Condition[] | undefined {
  const old = before.find(({ type }) => type === conditionType);
  const others = before.filter(({ type }) => type !== conditionType);
  if (!judged) return old ? others : undefined;
  const { status, reason, message } = judged.verdict;
  const same =
    old?.status === status &&
    old.reason === reason &&
    old.message === message &&
    old.observedGeneration === judged.generation;
  if (same) return undefined;
  const next: Condition = {
    type: conditionType,
    status,
    reason,
    message,
    lastTransitionTime:
      old?.status === status ? old.lastTransitionTime : `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    ...(judged.generation === undefined ? {} : { observedGeneration: judged.generation }),
  };
  return [...others, next];
}
