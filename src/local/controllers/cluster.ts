/** What all controllers share: the client, the objects they watch, the clock, the log. */
import {
  kinds,
  type ControllerRevision,
  type CronJob,
  type DaemonSet,
  type Deployment,
  type EndpointSlice,
  type HorizontalPodAutoscaler,
  type Job,
  type Namespace,
  type Node,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type ReplicaSet,
  type Service,
  type ServiceAccount,
  type StatefulSet,
} from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { createEventWriter, type EventWriter } from './event-writer.ts';
import { createPodIndex, type PodIndex } from './pod-index.ts';
import { openSource, type Source } from './source.ts';

export interface Cluster {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
  readonly events: EventWriter;
  readonly namespaces: Source<Namespace>;
  readonly serviceAccounts: Source<ServiceAccount>;
  readonly nodes: Source<Node>;
  readonly pods: Source<Pod>;
  readonly services: Source<Service>;
  readonly slices: Source<EndpointSlice>;
  readonly deployments: Source<Deployment>;
  readonly replicaSets: Source<ReplicaSet>;
  readonly statefulSets: Source<StatefulSet>;
  readonly daemonSets: Source<DaemonSet>;
  readonly revisions: Source<ControllerRevision>;
  readonly jobs: Source<Job>;
  readonly cronJobs: Source<CronJob>;
  readonly claims: Source<PersistentVolumeClaim>;
  readonly budgets: Source<PodDisruptionBudget>;
  readonly autoscalers: Source<HorizontalPodAutoscaler>;
  readonly podIndex: PodIndex;
}

/** What a controller gives back: begin, and whether all its work is done. */
export interface Controller {
  start(): void;
  idle(): Promise<void>;
}

export interface OpenClusterOptions {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
}

export function openCluster(options: OpenClusterOptions): Cluster {
  const pods = openSource(kinds.Pod, options);
  return {
    ...options,
    events: createEventWriter(options),
    namespaces: openSource(kinds.Namespace, options),
    serviceAccounts: openSource(kinds.ServiceAccount, options),
    nodes: openSource(kinds.Node, options),
    pods,
    podIndex: createPodIndex(pods),
    services: openSource(kinds.Service, options),
    slices: openSource(kinds.EndpointSlice, options),
    deployments: openSource(kinds.Deployment, options),
    replicaSets: openSource(kinds.ReplicaSet, options),
    statefulSets: openSource(kinds.StatefulSet, options),
    daemonSets: openSource(kinds.DaemonSet, options),
    revisions: openSource(kinds.ControllerRevision, options),
    jobs: openSource(kinds.Job, options),
    cronJobs: openSource(kinds.CronJob, options),
    claims: openSource(kinds.PersistentVolumeClaim, options),
    budgets: openSource(kinds.PodDisruptionBudget, options),
    autoscalers: openSource(kinds.HorizontalPodAutoscaler, options),
  };
}

export async function whenSynced(cluster: Cluster): Promise<void> {
  const { namespaces, serviceAccounts, nodes, pods, services, slices, deployments, replicaSets } = cluster;
  const { statefulSets, daemonSets, revisions, jobs, cronJobs, claims, budgets, autoscalers } = cluster;
  const older = [namespaces, serviceAccounts, nodes, pods, services, slices, deployments, replicaSets];
  const sources = [...older, statefulSets, daemonSets, revisions, jobs, cronJobs, claims, budgets, autoscalers];
  await Promise.all(sources.map(({ synced }) => synced));
}

/** Whether new content may still be made in a namespace. One that the informer does not show yet is taken as live. */
export function isLive(cluster: Cluster, namespace: string | undefined): boolean {
  return cluster.namespaces.store.get(namespace ?? '')?.metadata.deletionTimestamp === undefined;
}

/** RFC 3339 in whole seconds, as objects carry it. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
