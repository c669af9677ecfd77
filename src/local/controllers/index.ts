/** The controllers of the local mesh: what kube-controller-manager and kube-scheduler do, as far as the mesh needs it. */
import type { KubeClient } from '../../kube/index.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { createAutoscalerController, type ReadUsage } from './autoscaler.ts';
import { createBudgetController } from './budget.ts';
import { openCluster, whenSynced, type Controller } from './cluster.ts';
import { createCronJobController } from './cron-job.ts';
import { createDaemonSetController } from './daemon-set.ts';
import { createDeploymentController } from './deployment.ts';
import { createEndpointsController } from './legacy-endpoints.ts';
import { createEndpointSliceController } from './endpoint-slice.ts';
import { createGarbageCollector } from './garbage-collector.ts';
import { createJobController } from './job.ts';
import { createNamespaceController } from './namespace.ts';
import { createReplicaSetController } from './replica-set.ts';
import { createRootCaController } from './root-ca.ts';
import { createScheduler } from './scheduler.ts';
import { createServiceAccountController } from './service-account.ts';
import { createStatefulSetController } from './stateful-set.ts';

export { createUsageReader, type NodeSummary } from './node-usage.ts';
export { startLoadBalancers } from './load-balancer.ts';

export interface ControllersOptions {
  /** May do everything; its connection is the only way in which the controllers touch the cluster. */
  readonly client: KubeClient;
  readonly log: Log;
  /** What signed the API server's certificate. */
  readonly rootCaPem: string;
  /** Stops all of them. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** What pods use, for autoscalers; absent: nobody measures it. */
  readonly readUsage?: ReadUsage;
}

/**
 * Starts them, and resolves when all have seen the cluster and begun to work; rejects when `signal` aborts before.
 * They retry by themselves until then and after.
 */
export async function startControllers(options: ControllersOptions): Promise<void> {
  const { client, signal, clock = systemClock } = options;
  const log = options.log.child('controllers');
  const cluster = openCluster({ client, signal, log, clock });
  const garbageCollector = createGarbageCollector(cluster);
  const rootCa = createRootCaController(cluster, options.rootCaPem);
  const endpoints = createEndpointsController(cluster);
  const controllers: readonly Controller[] = [
    createServiceAccountController(cluster),
    rootCa,
    createNamespaceController(cluster),
    createDeploymentController(cluster),
    createReplicaSetController(cluster),
    createStatefulSetController(cluster),
    createDaemonSetController(cluster),
    createJobController(cluster),
    createCronJobController(cluster),
    createBudgetController(cluster),
    createAutoscalerController(cluster, options.readUsage),
    endpoints,
    createScheduler(cluster),
    createEndpointSliceController(cluster),
    garbageCollector,
  ];
  await Promise.all([whenSynced(cluster), rootCa.synced, garbageCollector.synced]);
  for (const controller of controllers) controller.start();
  log.info('controllers are at work', { count: controllers.length });
}
