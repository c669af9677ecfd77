/** Counts requests: Istio's HTTP and gRPC metrics (ambient-l7, 4.1). */
import {
  observe,
  proxyHttpLabelNames,
  proxyPeerLabelNames,
  type CellSeries,
  type ProxyMetrics,
} from '../../telemetry/index.ts';
import type { HttpRun } from '../engine/http-run.ts';
import { HttpContext } from './expression-context.ts';
import type { LiveReport } from './live-reports.ts';
import { requestBytes, responseBytes } from './message-sizes.ts';
import type { MetricName, MetricPlans } from './metric-plan.ts';
import type { GrpcSeries, HttpSeries, PeerEntry, TrafficPeers } from './traffic-peers.ts';

export interface HttpMetricsOptions {
  readonly metrics: ProxyMetrics;
  readonly plans: MetricPlans;
  readonly peers: TrafficPeers;
}

/** Series of one pair of peers: what answers and tags there are is the callers' choice. */
const mostSeries = 4096;
const notGrpc = 31;

export class HttpMetrics {
  readonly #options: HttpMetricsOptions;

  constructor(options: HttpMetricsOptions) {
    this.#options = options;
  }

  /** The request is over. */
  count(run: HttpRun): void {
    const { metrics, plans, peers } = this.#options;
    const entry = peers.entry(run);
    const evaluated = plans.hasExpressions ? plans.evaluate(() => new HttpContext(run)) : none;
    const key = seriesKey(run, evaluated);
    let series = entry.http.get(key);
    if (!series || isAnyExpired(series)) {
      if (entry.http.size >= mostSeries) entry.http.clear();
      entry.http.set(key, (series = this.#create(run, entry, evaluated)));
    }
    const durationMs = run.times.end - run.times.start;
    const nowMs = run.times.startMs + durationMs;
    const [requests = 0, duration = 0, sent = 0, received = 0] = metrics.http.offsets;
    const counted = series.requests;
    if (counted) {
      (counted.cells[requests] as number) += 1;
      counted.lastUsedMs = nowMs;
    }
    observeIn(series.duration, duration, durationMs, nowMs);
    observeIn(series.requestBytes, sent, requestBytes(run), nowMs);
    observeIn(series.responseBytes, received, responseBytes(run), nowMs);
  }

  /** Of a gRPC stream: messages are counted while it lasts. */
  messages(run: HttpRun): LiveReport {
    let requestsTold = 0;
    let responsesTold = 0;
    return {
      tell: (nowMs, isLast) => {
        const requests = run.requestMessages?.count ?? 0;
        const responses = run.responseMessages?.count ?? 0;
        // Before a host is known nobody can tell whose messages they are.
        if ((!run.host && !isLast) || (requests === requestsTold && responses === responsesTold)) return;
        const { requestMessages, responseMessages } = this.#grpcSeries(run);
        const [requestOffset = 0, responseOffset = 0] = this.#options.metrics.grpc.offsets;
        add(requestMessages, requestOffset, requests - requestsTold, nowMs);
        add(responseMessages, responseOffset, responses - responsesTold, nowMs);
        requestsTold = requests;
        responsesTold = responses;
      },
    };
  }

  #grpcSeries(run: HttpRun): GrpcSeries {
    const { plans, peers, metrics } = this.#options;
    const entry = peers.entry(run);
    const evaluated = plans.hasExpressions ? plans.evaluate(() => new HttpContext(run)) : none;
    const key = evaluated.join('\0');
    const known = entry.grpc.get(key);
    if (known && known.requestMessages?.isExpired !== true && known.responseMessages?.isExpired !== true) return known;
    const seriesOf = (metric: MetricName): CellSeries | undefined => {
      const labels = plans.labels(metric, proxyPeerLabelNames, entry.labels, evaluated);
      return labels === undefined ? undefined : metrics.grpc.series(labels);
    };
    const series = {
      requestMessages: seriesOf('GRPC_REQUEST_MESSAGES'),
      responseMessages: seriesOf('GRPC_RESPONSE_MESSAGES'),
    };
    if (entry.grpc.size >= mostSeries) entry.grpc.clear();
    entry.grpc.set(key, series);
    return series;
  }

  #create(run: HttpRun, entry: PeerEntry, evaluated: readonly string[]): HttpSeries {
    const { plans, metrics } = this.#options;
    const values = [
      ...entry.labels,
      run.isGrpc ? 'grpc' : 'http',
      String(run.responseStatus),
      run.isGrpc ? grpcStatusText(run.grpcStatus) : '',
      flagsText(run.flags),
      entry.security,
    ];
    const seriesOf = (metric: MetricName): CellSeries | undefined => {
      const labels = plans.labels(metric, proxyHttpLabelNames, values, evaluated);
      return labels === undefined ? undefined : metrics.http.series(labels);
    };
    return {
      requests: seriesOf('REQUEST_COUNT'),
      duration: seriesOf('REQUEST_DURATION'),
      requestBytes: seriesOf('REQUEST_SIZE'),
      responseBytes: seriesOf('RESPONSE_SIZE'),
    };
  }
}

const none: readonly string[] = [];

/** A number for what nearly all requests are: without flags and tags of their own. */
function seriesKey(run: HttpRun, evaluated: readonly string[]): number | string {
  const status = run.isGrpc ? grpcCode(run.grpcStatus) : notGrpc;
  const plain = run.responseStatus * 32 + status;
  if (run.flags.size === 0 && evaluated.length === 0) return plain;
  return `${plain}\0${flagsText(run.flags)}\0${evaluated.join('\0')}`;
}

export function flagsText(flags: ReadonlySet<string>): string {
  return flags.size === 0 ? '-' : [...flags].join(',');
}

/** Codes of gRPC are 0 to 16; what else a server says is one more. */
function grpcCode(status: string | undefined): number {
  if (status === undefined) return 30;
  const code = status.length <= 2 ? Number(status) : Number.NaN;
  return Number.isInteger(code) && code >= 0 && code <= 16 ? code : 29;
}

function grpcStatusText(status: string | undefined): string {
  const code = grpcCode(status);
  return code === 30 ? '' : code === 29 ? 'unknown' : String(code);
}

function isAnyExpired({ requests, duration, requestBytes: sent, responseBytes: received }: HttpSeries): boolean {
  return (
    requests?.isExpired === true ||
    (duration !== requests && duration?.isExpired === true) ||
    (sent !== requests && sent?.isExpired === true) ||
    (received !== requests && received?.isExpired === true)
  );
}

function observeIn(series: CellSeries | undefined, offset: number, value: number, nowMs: number): void {
  if (!series) return;
  observe(series.cells, offset, value);
  series.lastUsedMs = nowMs;
}

export function add(series: CellSeries | undefined, offset: number, value: number, nowMs: number): void {
  if (!series) return;
  (series.cells[offset] as number) += value;
  series.lastUsedMs = nowMs;
}
