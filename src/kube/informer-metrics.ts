/** Figures of all informers of a process, by kind. */
import type { KindRef } from '../api/index.ts';
import type { MetricsRegistry } from '../telemetry/index.ts';

/** What one informer reports. */
export interface InformerMeter {
  listed(objects: number): void;
  watching(): void;
  event(type: string): void;
  failed(code: string): void;
  /** Something came from the server, so that what we have is as new as that. */
  heard(objects: number): void;
  close(): void;
}

export interface InformerMetrics {
  open(kind: KindRef): InformerMeter;
}

/** Registers the metrics; call it once for a registry, and hand the result to every informer. */
export function registerInformerMetrics(registry: MetricsRegistry): InformerMetrics {
  const state = registry.group({
    metrics: {
      lists: { name: 'ambit_kube_lists', help: 'Whole lists read from the API server', kind: 'counter' },
      watches: { name: 'ambit_kube_watches', help: 'Watches that the API server accepted', kind: 'counter' },
      objects: { name: 'ambit_kube_objects', help: 'Objects in the local copy', kind: 'gauge' },
      listedAt: {
        name: 'ambit_kube_last_list_timestamp_seconds',
        help: 'When the last whole list was in, in seconds since 1970',
        kind: 'gauge',
      },
      heardAt: {
        name: 'ambit_kube_last_heard_timestamp_seconds',
        help: 'When the API server last said something of this kind, in seconds since 1970',
        kind: 'gauge',
      },
    },
    labelNames: ['group', 'resource'],
  });
  const events = registry.group({
    metrics: { total: { name: 'ambit_kube_events', help: 'Watch events read', kind: 'counter' } },
    labelNames: ['group', 'resource', 'type'],
  });
  const failures = registry.group({
    metrics: { total: { name: 'ambit_kube_failures', help: 'Failed lists and watches', kind: 'counter' } },
    labelNames: ['group', 'resource', 'code'],
  });
  return {
    open({ group, plural }) {
      const series = state.acquire([group, plural]);
      const byType = new Map<string, ReturnType<typeof events.acquire>>();
      const nowSeconds = (): number => Date.now() / 1000;
      return {
        listed(objects) {
          series.values.lists++;
          series.values.objects = objects;
          series.values.listedAt = series.values.heardAt = nowSeconds();
        },
        watching: () => void series.values.watches++,
        event(type) {
          let counter = byType.get(type);
          if (!counter) byType.set(type, (counter = events.acquire([group, plural, type])));
          counter.values.total++;
        },
        failed: (code) => failures.record([group, plural, code], (values) => values.total++),
        heard(objects) {
          series.values.objects = objects;
          series.values.heardAt = nowSeconds();
        },
        close() {
          state.release(series);
          for (const counter of byType.values()) events.release(counter);
          byType.clear();
        },
      };
    },
  };
}
