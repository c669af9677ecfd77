/** What a node tells of the use of its pods: `GET /stats/summary`, as kubelet, as far as it is known. */
import type { Clock } from '../../../lib/clock.ts';
import type { PodUsage } from '../pod-usage.ts';
import type { PodWorker } from '../pod-worker.ts';

export interface SummaryInputs {
  readonly workers: () => readonly PodWorker[];
  readonly usage: PodUsage;
  readonly clock: Clock;
}

/** Pods of the node's own network are not told apart, and left out. */
export function summarize({ workers, usage, clock }: SummaryInputs): object {
  const pods = workers().flatMap(({ uid, netnsPath, pod }) =>
    netnsPath === undefined ? [] : [{ uid, netnsPath, pod }],
  );
  const samples = usage.sample(pods);
  const time = new Date(clock.nowMs()).toISOString();
  return {
    pods: pods.flatMap(({ uid, pod: { metadata } }) => {
      const sample = samples.get(uid);
      if (!sample) return [];
      return [
        {
          podRef: { name: metadata.name, namespace: metadata.namespace, uid },
          cpu: { time, usageCoreNanoSeconds: sample.cpuMs * 1e6 },
          memory: { time, workingSetBytes: sample.memoryBytes },
        },
      ];
    }),
  };
}
