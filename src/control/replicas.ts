/** The replicas of the control plane: this one reports how far its data planes are, and hears of the others. */
import type { Lease } from '../api/coordination.ts';
import { kinds } from '../api/kinds.ts';
import { isOlder, startInformer, type KubeClient } from '../kube/index.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { leaseSeconds, startReporter } from './replica-reporter.ts';
import { readReport, replicaLabel, type Refusal, type ReplicaReport } from './replica-report.ts';
import { isHeld } from './watermark.ts';

export interface ReplicasOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The pod's name. */
  readonly identity: string;
  readonly revision: string;
  readonly report: () => ReplicaReport;
  /** A replica came, went, or told something new. */
  readonly onChange: () => void;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Replicas {
  /** Resolves after the first try to tell the others. */
  readonly reported: Promise<void>;
  /** The report has changed: it is told within a second. */
  changed(): void;
  /** The replicas some of whose ztunnels do not hold this version yet; none: all do. */
  behind(resource: string, version: string): string[];
  /** Who refuses the policy `namespace/name`, over all replicas. */
  refusal(name: string): Refusal | undefined;
  /** What data planes refuse whose name begins so, by the rest of the name. */
  refusalsOf(prefix: string): ReadonlyMap<string, Refusal>;
  /** Resolves after the signal, when the report is taken back. */
  readonly done: Promise<void>;
}

export function startReplicas(options: ReplicasOptions): Replicas {
  const { client, namespace, identity, revision, signal, log, clock = systemClock, onChange } = options;
  const name = `istiod-replica-${identity}`;
  const others = new Map<string, { report: ReplicaReport; cancelExpiry: () => void }>();

  const heard = (lease: Lease): void => {
    const key = lease.metadata.name ?? '';
    if (key === name) return;
    others.get(key)?.cancelExpiry();
    // Judged by when we hear of it: clocks may differ.
    const seconds = lease.spec?.leaseDurationSeconds ?? leaseSeconds;
    others.set(key, {
      report: readReport(lease),
      cancelExpiry: clock.after(seconds * 1000, () => {
        log.info('a replica fell silent', { replica: key });
        others.delete(key);
        onChange();
      }),
    });
    onChange();
  };
  startInformer(client, kinds.Lease, {
    namespace,
    labelSelector: `${replicaLabel}=${revision}`,
    signal,
    log,
    onAdd: heard,
    onUpdate: (_, after) => heard(after),
    onDelete({ metadata }) {
      others.get(metadata.name ?? '')?.cancelExpiry();
      if (others.delete(metadata.name ?? '')) onChange();
    },
  });

  const reporter = startReporter({ ...options, name, clock });
  return {
    reported: reporter.reported,
    changed: () => reporter.changed(),
    behind(resource, version) {
      const reports = [
        [identity, options.report()] as const,
        ...[...others].map(([key, { report }]) => [key.slice('istiod-replica-'.length), report] as const),
      ];
      return reports
        .filter(([, { held }]) => !isHeld(held, resource, version, isOlder))
        .map(([replica]) => replica)
        .toSorted();
    },
    refusal(policy) {
      const found = [options.report(), ...[...others.values()].map(({ report }) => report)].flatMap(
        ({ refused }) => refused[policy] ?? [],
      );
      const [first] = found;
      return first && { clients: found.reduce((sum, { clients }) => sum + clients, 0), reason: first.reason };
    },
    refusalsOf(prefix) {
      const found = new Map<string, Refusal>();
      for (const { refused } of [options.report(), ...[...others.values()].map(({ report }) => report)]) {
        for (const [name, { clients, reason }] of Object.entries(refused)) {
          if (!name.startsWith(prefix)) continue;
          const key = name.slice(prefix.length);
          const known = found.get(key);
          found.set(key, { clients: clients + (known?.clients ?? 0), reason: known?.reason ?? reason });
        }
      }
      return found;
    },
    done: reporter.done.then(() => {
      for (const { cancelExpiry } of others.values()) cancelExpiry();
    }),
  };
}
