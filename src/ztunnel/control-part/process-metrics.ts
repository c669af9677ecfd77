/** Metrics of the process and of its control part. */
import { registerProcessMetrics } from '../../telemetry/process-metrics.ts';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import { registerXdsMetrics, type XdsClientMetrics } from '../../xds/client-metrics.ts';
import type { PodManager } from './pod-manager.ts';

export function registerControlMetrics(
  registry: MetricsRegistry,
  options: { version: string; pods: PodManager },
): XdsClientMetrics {
  const { version, pods } = options;
  registerPodMetrics(registry, pods);
  registerProcessMetrics(registry, { component: 'ztunnel', version });
  return registerXdsMetrics(registry);
}

function registerPodMetrics(registry: MetricsRegistry, pods: PodManager): void {
  pods.counts = registry
    .group({
      metrics: {
        started: {
          name: 'workload_manager_proxies_started',
          help: 'The total number of proxies that were started',
          kind: 'counter',
        },
        stopped: {
          name: 'workload_manager_proxies_stopped',
          help: 'The total number of proxies that were stopped',
          kind: 'counter',
        },
      },
      labelNames: [],
    })
    .acquire([]).values;
  registry.gauge(
    'workload_manager_pending_proxy_count',
    'The total number of proxies that wait to be started',
    () => pods.pendingCount,
  );
}
