/** Counts TCP connections through the proxy: Istio's metrics, as ztunnels have them (ambient-l7, 4.1). */
import { proxyTcpLabelNames, type CellSeries, type ProxyMetrics } from '../../telemetry/index.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import { TcpContext } from './expression-context.ts';
import { add, flagsText } from './http-metrics.ts';
import type { LiveReport } from './live-reports.ts';
import type { MetricName, MetricPlans } from './metric-plan.ts';
import type { TcpSeries, TrafficPeers } from './traffic-peers.ts';

export interface TcpMetricsOptions {
  readonly metrics: ProxyMetrics;
  readonly plans: MetricPlans;
  readonly peers: TrafficPeers;
}

export class TcpMetrics {
  readonly #options: TcpMetricsOptions;

  constructor(options: TcpMetricsOptions) {
    this.#options = options;
  }

  /** Counts the connection from when its host is known, and its bytes while it lasts. */
  report(run: TcpRun): LiveReport {
    let isOpened = false;
    let sentTold = 0;
    let receivedTold = 0;
    return {
      tell: (nowMs, isLast) => {
        if (!run.host && !isLast) return;
        const [opened = 0, closed = 0, sent = 0, received = 0] = this.#options.metrics.tcp.offsets;
        const series = this.#series(run);
        if (!isOpened) add(series.opened, opened, 1, nowMs);
        isOpened = true;
        add(series.sent, sent, run.bytesSent - sentTold, nowMs);
        add(series.received, received, run.bytesReceived - receivedTold, nowMs);
        sentTold = run.bytesSent;
        receivedTold = run.bytesReceived;
        if (isLast) add(series.closed, closed, 1, nowMs);
      },
    };
  }

  #series(run: TcpRun): TcpSeries {
    const { plans, peers, metrics } = this.#options;
    const entry = peers.entry(run);
    const evaluated = plans.hasExpressions ? plans.evaluate(() => new TcpContext(run)) : [];
    const flags = flagsText(run.flags);
    const key = `${flags}\0${evaluated.join('\0')}`;
    const known = entry.tcp.get(key);
    if (known && Object.values(known).every((one: CellSeries | undefined) => one?.isExpired !== true)) return known;
    const values = [...entry.labels, 'tcp', flags, entry.security];
    const seriesOf = (metric: MetricName): CellSeries | undefined => {
      const labels = plans.labels(metric, proxyTcpLabelNames, values, evaluated);
      return labels === undefined ? undefined : metrics.tcp.series(labels);
    };
    const series = {
      opened: seriesOf('TCP_OPENED_CONNECTIONS'),
      closed: seriesOf('TCP_CLOSED_CONNECTIONS'),
      sent: seriesOf('TCP_SENT_BYTES'),
      received: seriesOf('TCP_RECEIVED_BYTES'),
    };
    if (entry.tcp.size >= 4096) entry.tcp.clear();
    entry.tcp.set(key, series);
    return series;
  }
}
