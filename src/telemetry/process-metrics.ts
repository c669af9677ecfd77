/** Metrics of a process. */
import { readdirSync, readFileSync } from 'node:fs';
import type { MetricsRegistry } from './metrics.ts';

export interface ProcessInfo {
  /** As in `ztunnel`, `proxy`. */
  readonly component: string;
  readonly version: string;
}

/** What it is, and what it uses, as Prometheus' own clients name it. */
export function registerProcessMetrics(registry: MetricsRegistry, { component, version }: ProcessInfo): void {
  const build = registry.group({
    metrics: { build: { name: 'istio_build', help: 'Istio component build info', kind: 'gauge' } },
    labelNames: ['component', 'tag'],
    neverExpires: true,
  });
  build.acquire([component, version]).values.build = 1;
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
