/** What the proxy tells of its traffic, put together: one a process. Its filter comes first in every chain. */
import type { TelemetryPolicy } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import { registerProxyMetrics, type MetricsRegistry, type ProxyMetrics } from '../../telemetry/index.ts';
import type { FilterKind, FilterPlace, HttpFilter } from '../engine/filter.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpFilter, TcpRun } from '../engine/tcp-run.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { AccessLogs, type PlaceLog, type WriteLines } from './access-logs.ts';
import { HttpMetrics } from './http-metrics.ts';
import { LiveReports, type LiveReport } from './live-reports.ts';
import { logOperators } from './log-operators.ts';
import { compileMetricPlans, type MetricPlans } from './metric-plan.ts';
import type { OwnTags } from './span-tags.ts';
import { TcpMetrics } from './tcp-metrics.ts';
import { Tracers } from './tracers.ts';
import { Tracing, type ActiveSpan, type PlaceTracing } from './tracing.ts';
import { TrafficPeers, type OwnWorkload, type Role } from './traffic-peers.ts';

export interface ProxyTelemetryOptions {
  readonly clock: Clock;
  readonly mesh: MeshState;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
  /** Where lines of access logs go: `path` is `/dev/stdout`, `/dev/stderr` or a file. */
  readonly openAccessLog: (path: string) => WriteLines;
  /** Of the process: formats and tags may name variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The pod that the proxy runs in, as far as it is known by now. */
  readonly own: () => OwnWorkload;
  /** Sends spans. */
  readonly upstreams: Upstreams;
  readonly random: () => number;
  readonly node: {
    /** As discovery knows the proxy. */
    readonly id: string;
    readonly meshId: string;
    /** Its name in traces, as in `waypoint.shop`. */
    readonly serviceName: string;
    readonly address: string;
    readonly version: string;
  };
}

export interface ProxyTelemetry {
  /** For HTTP and TCP. First in every chain. */
  readonly filter: FilterKind;
  /** No more reports of what lasts; resolves once all lines were handed on. */
  close(): Promise<void>;
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
    const side = role === 'waypoint' ? 'server' : 'client';
    if (policies.some((policy) => policy.metrics.length > 0)) {
      return countersWith(metrics, peers, compileMetricPlans(policies, side));
    }
    let counters = plain.get(role);
    if (!counters) plain.set(role, (counters = countersWith(metrics, peers, compileMetricPlans([], side))));
    return counters;
  };
  const { log, environment, openAccessLog: open, clock, upstreams, random, node, own } = options;
  const spans = new WeakMap<HttpRun, ActiveSpan>();
  const resolve = logOperators({ environment, traceIdOf: (run) => spans.get(run)?.traceId });
  const tracers = new Tracers({
    clock,
    log,
    metrics: options.metrics,
    upstreams,
    source: node,
    identity: () => own().identity,
  });
  const ownTags = (): OwnTags => ({ nodeId: node.id, meshId: node.meshId, workload: own().workload });
  const tracing = new Tracing({ tracers, resolve, environment, random, log, own: ownTags }, spans);
  const accessLogs = new AccessLogs({ resolve, open, log, nowMs: () => clock.nowMs() });
  const logOf = (place: FilterPlace): PlaceLog => {
    const { settings, providers } = place.snapshot;
    return accessLogs.of({ settings, providers, policies: policiesOf(place) });
  };
  return {
    filter: {
      name: 'telemetry',
      reads: ['telemetry'],
      build: (place) =>
        httpFilter({
          metrics: countersFor(place).http,
          live,
          log: logOf(place),
          tracing: tracing.of(place, policiesOf(place)),
        }),
      buildTcp: (place) => tcpFilter(countersFor(place).tcp, live, logOf(place)),
    },
    async close() {
      live.close();
      const late = new Promise<void>((done) => void clock.after(spanFlushMs, done));
      await Promise.all([accessLogs.flush(), Promise.race([tracers.flush(), late])]);
    },
  };
}

/** At the end, for the last spans. */
const spanFlushMs = 2000;

interface Counters {
  readonly http: HttpMetrics;
  readonly tcp: TcpMetrics;
}

function countersWith(metrics: ProxyMetrics, peers: TrafficPeers, plans: MetricPlans): Counters {
  const options = { metrics, peers, plans };
  return { http: new HttpMetrics(options), tcp: new TcpMetrics(options) };
}

/** From the widest scope to the narrowest, else in the order of the place. */
export function policiesOf({ policies, snapshot }: FilterPlace): readonly TelemetryPolicy[] {
  const order = { mesh: 0, namespace: 1, target: 2 };
  return policies.telemetry
    .flatMap((name) => snapshot.policies.telemetry.get(name) ?? [])
    .toSorted((a, b) => order[a.scope] - order[b.scope]);
}

interface HttpParts {
  readonly metrics: HttpMetrics;
  readonly live: LiveReports;
  readonly log: PlaceLog;
  readonly tracing: PlaceTracing | undefined;
}

function httpFilter({ metrics, live, log, tracing }: HttpParts): HttpFilter {
  const streams = new WeakMap<HttpRun, LiveReport>();
  return {
    name: 'telemetry',
    onRequest(run) {
      tracing?.begin(run);
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
      log?.(run);
      tracing?.end(run);
    },
  };
}

function tcpFilter(metrics: TcpMetrics, live: LiveReports, log: PlaceLog): TcpFilter {
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
      log?.(run);
    },
  };
}
