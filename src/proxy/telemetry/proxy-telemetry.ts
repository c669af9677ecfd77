/** What the proxy tells of its traffic, put together: one a process. Its filter comes first in every chain. */
import type { TelemetryPolicy } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { MeshState } from '../../mesh/index.ts';
import { registerProxyMetrics, type MetricsRegistry, type ProxyMetrics } from '../../telemetry/index.ts';
import type { FilterKind, FilterPlace, HttpFilter } from '../engine/filter.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpFilter, TcpRun } from '../engine/tcp-run.ts';
import { HttpMetrics } from './http-metrics.ts';
import { LiveReports, type LiveReport } from './live-reports.ts';
import { compileMetricPlans } from './metric-plan.ts';
import { TcpMetrics } from './tcp-metrics.ts';
import { TrafficPeers, type OwnWorkload, type Role } from './traffic-peers.ts';

export interface ProxyTelemetryOptions {
  readonly clock: Clock;
  readonly mesh: MeshState;
  readonly metrics: MetricsRegistry;
  /** The pod that the proxy runs in, as far as it is known by now. */
  readonly own: () => OwnWorkload;
}

export interface ProxyTelemetry {
  /** For HTTP and TCP. First in every chain. */
  readonly filter: FilterKind;
  /** No more reports of what lasts. */
  close(): void;
}

export function createProxyTelemetry(options: ProxyTelemetryOptions): ProxyTelemetry {
  const metrics = registerProxyMetrics(options.metrics);
  const live = new LiveReports(options.clock);
  /** Of places without changes of metrics. */
  const plain = new Map<Role, Counters>();
  const countersFor = (place: FilterPlace): Counters => {
    const { role } = place.snapshot.settings;
    const policies = policiesOf(place);
    const peers = new TrafficPeers({ role, mesh: options.mesh, own: options.own });
    if (policies.some((policy) => policy.metrics.length > 0)) return countersWith(metrics, policies, peers);
    let counters = plain.get(role);
    if (!counters) plain.set(role, (counters = countersWith(metrics, [], peers)));
    return counters;
  };
  return {
    filter: {
      name: 'telemetry',
      reads: ['telemetry'],
      build: (place) => httpFilter(countersFor(place).http, live),
      buildTcp: (place) => tcpFilter(countersFor(place).tcp, live),
    },
    close: () => live.close(),
  };
}

interface Counters {
  readonly http: HttpMetrics;
  readonly tcp: TcpMetrics;
}

function countersWith(metrics: ProxyMetrics, policies: readonly TelemetryPolicy[], peers: TrafficPeers): Counters {
  const options = { metrics, peers, plans: compileMetricPlans(policies) };
  return { http: new HttpMetrics(options), tcp: new TcpMetrics(options) };
}

/** From the widest scope to the narrowest, else in the order of the place. */
export function policiesOf({ policies, snapshot }: FilterPlace): readonly TelemetryPolicy[] {
  const order = { mesh: 0, namespace: 1, target: 2 };
  return policies.telemetry
    .flatMap((name) => snapshot.policies.telemetry.get(name) ?? [])
    .toSorted((a, b) => order[a.scope] - order[b.scope]);
}

function httpFilter(metrics: HttpMetrics, live: LiveReports): HttpFilter {
  const streams = new WeakMap<HttpRun, LiveReport>();
  return {
    name: 'telemetry',
    onRequest(run) {
      if (!run.isGrpc) return undefined;
      const report = metrics.messages(run);
      streams.set(run, report);
      live.add(report);
      return undefined;
    },
    onFinish(run) {
      metrics.count(run);
      const report = run.isGrpc ? streams.get(run) : undefined;
      if (report) live.finish(report);
    },
  };
}

function tcpFilter(metrics: TcpMetrics, live: LiveReports): TcpFilter {
  const connections = new WeakMap<TcpRun, LiveReport>();
  return {
    name: 'telemetry',
    onConnection(run) {
      const report = metrics.report(run);
      connections.set(run, report);
      live.add(report);
      return undefined;
    },
    onFinish(run) {
      const report = connections.get(run);
      if (report) live.finish(report);
    },
  };
}
