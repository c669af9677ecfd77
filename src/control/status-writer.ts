/**
 * Writes what the mesh makes of an object into its status: whether it is accepted, and whether every ztunnel holds it.
 *
 * The leader alone writes, once for a change that reaches everybody within a second, and never more than once a second for
 * one object.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Condition, KindRef, KubeObject } from '../api/meta.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { mergeConditions, type Verdict } from './conditions.ts';
import { resourceNameOf, type Refusal } from './replica-report.ts';
import { createWorkQueue } from './work-queue.ts';

export interface StatusObject extends KubeObject {
  readonly status?: { readonly conditions?: Condition[] };
}

/** What discovery made of one generation of an object. */
export interface Judged {
  readonly generation: number | undefined;
  /** By condition type; absent where acceptance is not told. */
  readonly conditions: Readonly<Record<string, Verdict>>;
  /** Further fields of the status, written at once where they differ; null takes a field away. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Further fields that are merged with what the status says already: lists of parts that have conditions of their own. */
  readonly merged?: (
    status: Readonly<Record<string, unknown>>,
    about: { readonly generation: number | undefined; readonly nowMs: number },
  ) => Readonly<Record<string, unknown>>;
}

/** A kind whose objects get a status. */
export interface StatusKind {
  readonly kind: KindRef<StatusObject>;
  /** Under which our writes are known. */
  readonly fieldManager: string;
  /** Whether the status tells how far the object is distributed, as a policy, which ztunnels may refuse, or as addresses. */
  readonly distributedAs: 'policy' | 'addresses' | 'untold';
  /** Types of conditions that `judged` may give. */
  readonly conditionTypes: readonly string[];
  /** The newest object, by `namespace/name`. */
  current(name: string): StatusObject | undefined;
  /** Undefined: the object is not for us, or not for ztunnels; its conditions of ours go. */
  judged(name: string): Judged | undefined;
}

export interface StatusWriterOptions {
  readonly client: KubeClient;
  readonly kinds: readonly StatusKind[];
  /** Replicas some of whose ztunnels do not hold this version of the kind yet. */
  readonly behind: (kind: KindRef, version: string) => readonly string[];
  readonly refusal: (name: string) => Refusal | undefined;
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface StatusWriter {
  /** The verdict or the object changed; `name` is `namespace/name`. */
  changed(kind: KindRef, name: string): void;
  /** Data planes hold more than before, or refuse something. */
  progressed(): void;
  /** This replica leads from now on: everything is looked at once. */
  lead(): void;
}

/** Istio's name for the condition that says how far a configuration is distributed. */
const reconciledType = 'Reconciled';
/** How long a write waits for the data planes, so that it can tell both at once. */
const patienceMs = 1000;
const minIntervalMs = 1000;

interface Progress {
  readonly generation: number | undefined;
  /** The version in which this generation was first seen: later ones differ in their status alone. */
  readonly version: string;
  readonly sinceMs: number;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, behind, refusal, isLeader, clock, signal, log } = options;
  /** Two groups have a plural `gateways`. */
  const kindsByName = new Map(options.kinds.map((entry) => [resourceNameOf(entry.kind), entry]));
  const progress = new Map<string, Progress>();
  const writtenMs = new Map<string, number>();
  /** Objects of which not every ztunnel holds the newest generation, or that some refuse. */
  const unsettled = new Set<string>();

  const reconcile = async (key: string): Promise<void> => {
    const [resource = '', ...rest] = key.split(' ');
    const name = rest.join(' ');
    const entry = kindsByName.get(resource);
    const object = entry?.current(name);
    if (!entry || !object) return forget(key);
    const judged = entry.judged(name);
    // The verdict on the newest generation is on its way and will come by here.
    if (judged && judged.generation !== object.metadata.generation) return;
    const since = seen(key, object);
    if (!isLeader()) return;

    const { distributedAs } = entry;
    const isAwaited = judged && distributedAs !== 'untold' && !wasReconciled(object);
    const waitingFor = isAwaited ? behind(entry.kind, since.version) : [];
    const refused = judged && distributedAs === 'policy' ? refusal(name) : undefined;
    if (waitingFor.length > 0 || refused) unsettled.add(key);
    else unsettled.delete(key);
    const nowMs = clock.nowMs();
    const { generation } = object.metadata;
    const merged = judged?.merged?.({ ...object.status }, { generation, nowMs });
    const fields = differingFields(object, { ...judged?.fields, ...merged });
    // What others go by is not held back.
    const patientUntilMs = waitingFor.length > 0 && !fields ? since.sinceMs + patienceMs : 0;
    const dueMs = Math.max(patientUntilMs, (writtenMs.get(key) ?? -Infinity) + minIntervalMs);
    const conditions = mergeConditions(
      object.status?.conditions ?? [],
      wantedConditions(entry, judged, reconciled(waitingFor, refused)),
      { generation, nowMs },
    );
    if (!conditions && !fields) return;
    if (dueMs > nowMs) {
      clock.after(dueMs - nowMs, () => queue.add(key));
      return;
    }
    writtenMs.set(key, nowMs);
    await write(entry, object, { ...fields, ...(conditions ? { conditions } : {}) });
  };
  const seen = (key: string, { metadata }: StatusObject): Progress => {
    const { generation, resourceVersion = '' } = metadata;
    const known = progress.get(key);
    if (known && known.generation === generation) return known;
    const first = { generation, version: resourceVersion, sinceMs: clock.nowMs() };
    progress.set(key, first);
    return first;
  };
  const forget = (key: string): void => {
    progress.delete(key);
    writtenMs.delete(key);
    unsettled.delete(key);
  };
  const write = async ({ kind, fieldManager }: StatusKind, object: StatusObject, status: object): Promise<void> => {
    const { name = '', namespace, resourceVersion } = object.metadata;
    try {
      // A merge patch replaces the whole list: the resource version keeps other writers' conditions safe.
      await client.patch(
        kind,
        name,
        namespace,
        { metadata: { resourceVersion }, status },
        { type: 'merge', subresource: 'status', fieldManager, signal },
      );
    } catch (error) {
      if (!isKubeError(error, 'kube.not-found')) throw error;
    }
  };
  const queue = createWorkQueue({ name: 'status', reconcile, signal, log, clock });
  return {
    changed: (kind, name) => queue.add(`${resourceNameOf(kind)} ${name}`),
    progressed() {
      for (const key of unsettled) queue.add(key);
    },
    lead() {
      for (const key of progress.keys()) queue.add(key);
    },
  };
}

/** Once every ztunnel holds a generation it stays so: those that come later get it before they serve. */
function wasReconciled({ metadata, status }: StatusObject): boolean {
  const condition = status?.conditions?.find(({ type }) => type === reconciledType);
  return condition?.observedGeneration === metadata.generation && condition?.reason === 'Reconciled';
}

/** Undefined: the object says all of it already. */
function differingFields(
  object: StatusObject,
  wanted: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> | undefined {
  const status = object.status as Readonly<Record<string, unknown>> | undefined;
  const differing = Object.entries(wanted).filter(
    ([name, value]) => !isDeepStrictEqual(status?.[name] ?? null, value ?? null),
  );
  return differing.length > 0 ? Object.fromEntries(differing) : undefined;
}

function wantedConditions(
  { conditionTypes, distributedAs }: StatusKind,
  judged: Judged | undefined,
  distribution: Verdict,
): Record<string, Verdict | undefined> {
  return {
    ...Object.fromEntries(conditionTypes.map((type) => [type, judged?.conditions[type]])),
    ...(distributedAs !== 'untold' ? { [reconciledType]: judged && distribution } : {}),
  };
}

function reconciled(behind: readonly string[], refused: Refusal | undefined): Verdict {
  if (refused) {
    const who = refused.clients === 1 ? '1 ztunnel' : `${refused.clients} ztunnels`;
    return { status: 'False', reason: 'Refused', message: `refused by ${who}: ${refused.reason}` };
  }
  if (behind.length > 0) {
    const message = `not yet held by every proxy of ${behind.join(', ')}`;
    return { status: 'False', reason: 'Pending', message };
  }
  return { status: 'True', reason: 'Reconciled', message: 'held by every connected proxy' };
}
