/** What a node tells of its pods: `GET /pods`. */
import type { PodWorker } from '../pod-worker.ts';

/** One pod of `GET /pods`. */
export interface NodePodReport {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isStatic: boolean;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly podIP: string;
  /** Absent for hostNetwork. */
  readonly netnsPath?: string;
  readonly containers: readonly {
    readonly name: string;
    readonly isInit: boolean;
    readonly state: 'waiting' | 'running' | 'terminated';
    readonly reason?: string;
    readonly ready: boolean;
    readonly restartCount: number;
    /** The command, in init's pid namespace; absent while it does not run. */
    readonly pid?: number;
    readonly startedAt?: string;
  }[];
}

export function reportPod(worker: PodWorker): NodePodReport {
  const { pod, uid, isStatic, netnsPath } = worker;
  const status = worker.status();
  return {
    uid,
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    labels: pod.metadata.labels ?? {},
    isStatic,
    hostNetwork: pod.spec.hostNetwork ?? false,
    phase: status.phase ?? 'Unknown',
    podIP: status.podIP ?? '',
    ...(netnsPath === undefined ? {} : { netnsPath }),
    containers: worker.containers().map(({ status: each, isInit, pid }) => {
      const { waiting, running, terminated } = each.state ?? {};
      const reason = waiting?.reason ?? terminated?.reason;
      const startedAt = running?.startedAt ?? terminated?.startedAt;
      return {
        name: each.name,
        isInit,
        state: running ? 'running' : terminated ? 'terminated' : 'waiting',
        ...(reason === undefined ? {} : { reason }),
        ready: each.ready,
        restartCount: each.restartCount,
        ...(pid === undefined ? {} : { pid }),
        ...(startedAt === undefined ? {} : { startedAt }),
      };
    }),
  };
}
