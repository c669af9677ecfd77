/** Metrics of the process and of its control part. */
import { readdirSync, readFileSync } from 'node:fs';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import type { DeltaTermination } from '../../xds/index.ts';
import type { PodManager } from './pod-manager.ts';

export interface ControlMetrics {
  xdsMessage(typeUrl: string, byteCount: number): void;
  xdsTermination(reason: DeltaTermination): void;
}

export function registerControlMetrics(
  registry: MetricsRegistry,
  options: { version: string; pods: PodManager },
): ControlMetrics {
  const { version, pods } = options;
  const build = registry.group({
    metrics: { build: { name: 'istio_build', help: 'Istio component build info', kind: 'gauge' } },
    labelNames: ['component', 'tag'],
    neverExpires: true,
  });
  build.acquire(['ztunnel', version]).values.build = 1;
  registerPodMetrics(registry, pods);
  registerProcessMetrics(registry);
  const messages = registry.group({
    metrics: {
      messages: { name: 'istio_xds_message', help: 'Total number of messages received', kind: 'counter' },
      bytes: { name: 'istio_xds_message_bytes', help: 'Total number of bytes received', kind: 'counter' },
    },
    labelNames: ['url'],
    neverExpires: true,
  });
  const terminations = registry.group({
    metrics: {
      count: {
        name: 'istio_xds_connection_terminations',
        help: 'The total number of completed connections to the xds server',
        kind: 'counter',
      },
    },
    labelNames: ['reason'],
    neverExpires: true,
  });
  return {
    xdsMessage(typeUrl, byteCount) {
      messages.record([typeUrl], (values) => {
        values.messages++;
        values.bytes += byteCount;
      });
    },
    xdsTermination(reason) {
      terminations.record([reason], (values) => void values.count++);
    },
  };
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

/** As Prometheus' own clients name them. */
function registerProcessMetrics(registry: MetricsRegistry): void {
  registry.gauge('process_open_fds', 'Number of open file descriptors', () => readdirSync('/proc/self/fd').length);
  registry.gauge('process_max_fds', 'Maximum number of open file descriptors', maxOpenFiles);
  registry.gauge('process_resident_memory_bytes', 'Resident memory size in bytes', () => process.memoryUsage.rss());
  const startedSeconds = Date.now() / 1000 - process.uptime();
  registry.gauge(
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds',
    () => startedSeconds,
  );
  registry.counter('process_cpu_seconds', 'Total user and system CPU time spent in seconds', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}

function maxOpenFiles(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return soft === undefined ? -1 : Number(soft);
}
