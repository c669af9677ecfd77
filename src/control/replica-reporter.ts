/** Keeps this replica's report in its Lease: soon after each change, at most once a second, and often enough to be seen alive. */
import { kinds } from '../api/kinds.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { formatReport, replicaLabel, type ReplicaReport } from './replica-report.ts';

export interface ReporterOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  readonly identity: string;
  readonly revision: string;
  readonly report: () => ReplicaReport;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
}

export interface Reporter {
  changed(): void;
  /** Resolves after the first try to report. */
  readonly reported: Promise<void>;
  /** Resolves after the signal, when the Lease is gone. */
  readonly done: Promise<void>;
}

/** Others forget a replica that they have not heard of for this long. */
export const leaseSeconds = 30;
const renewMs = 10_000;
/** Between two writes: data planes answer one by one. */
const quietMs = 1000;

export function startReporter(options: ReporterOptions): Reporter {
  const { report, signal, log, clock } = options;
  const lease = createReplicaLease(options);
  let isDirty = false;
  let wake = (): void => {};
  const first = Promise.withResolvers<void>();
  let written = { text: '', atMs: -Infinity };

  const writeIfDue = async (): Promise<boolean> => {
    isDirty = false;
    const annotations = formatReport(report());
    const text = JSON.stringify(annotations);
    const nowMs = clock.nowMs();
    if (text === written.text && nowMs - written.atMs < renewMs) return true;
    try {
      await lease.write(annotations, nowMs, signal);
      written = { text, atMs: nowMs };
      return true;
    } catch (error) {
      if (!signal.aborted) log.warn('cannot report to the other replicas, trying again', { error: messageOf(error) });
      return false;
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const isWritten = await writeIfDue();
      first.resolve();
      await pause(clock, quietMs, signal, () => {});
      if (isWritten && !isDirty) await pause(clock, renewMs - quietMs, signal, (resolve) => (wake = resolve));
    }
    await lease.remove();
  };
  return {
    changed() {
      isDirty = true;
      wake();
    },
    reported: first.promise,
    done: run(),
  };
}

interface ReplicaLease {
  write(annotations: Record<string, string>, nowMs: number, signal: AbortSignal): Promise<void>;
  /** A failure only means that others wait until it is over. */
  remove(): Promise<void>;
}

function createReplicaLease({ client, namespace, name, identity, revision }: ReporterOptions): ReplicaLease {
  let exists = false;
  return {
    async write(annotations, nowMs, signal) {
      const metadata = { annotations, labels: { [replicaLabel]: revision } };
      const spec = {
        holderIdentity: identity,
        leaseDurationSeconds: leaseSeconds,
        renewTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
      };
      const patch = (): Promise<unknown> =>
        client.patch(kinds.Lease, name, namespace, { metadata, spec }, { type: 'merge', signal });
      if (exists) {
        try {
          await patch();
          return;
        } catch (error) {
          if (!isKubeError(error, 'kube.not-found')) throw error;
        }
      }
      try {
        await client.create(kinds.Lease, { metadata: { name, namespace, ...metadata }, spec }, signal);
      } catch (error) {
        // From an earlier life of this pod: ours now.
        if (!isKubeError(error, 'kube.already-exists')) throw error;
        await patch();
      }
      exists = true;
    },
    async remove() {
      if (!exists) return;
      await client.delete(kinds.Lease, name, namespace, { signal: AbortSignal.timeout(2000) }).catch(() => {});
    },
  };
}

/** Resolves after the time, at the abort, or when the function given to `onStart` is called. */
function pause(clock: Clock, ms: number, signal: AbortSignal, onStart: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end, { once: true });
    onStart(end);
  });
}
