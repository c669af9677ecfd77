/** `connectionPool`, `outlierDetection` and `retryBudget` of a traffic policy (ambient-l7, 2.2). Pure. */
import type { Backend, ConnectionPool, OutlierDetection } from '../../api/l7/index.ts';
import { tcpKeepalive } from './backend-defaults.ts';
import { milliseconds } from './durations.ts';
import type { TrafficPolicy } from './locality-policy.ts';
import type { RuleProblems } from './rule-problems.ts';

type PoolSettings = NonNullable<TrafficPolicy['connectionPool']>;
type OutlierSettings = NonNullable<TrafficPolicy['outlierDetection']>;

/** Zero is no limit, in what Istio counts so. */
export function connectionPoolOf(settings: PoolSettings, defaults: ConnectionPool, isTcp: boolean): ConnectionPool {
  const { tcp = {}, http = {} } = settings;
  const keepalive = tcp.tcpKeepalive;
  const idle = milliseconds(isTcp ? tcp.idleTimeout : http.idleTimeout);
  return {
    ...defaults,
    ...limit('maxConnections', tcp.maxConnections),
    ...limit('connectTimeoutMs', milliseconds(tcp.connectTimeout)),
    ...(keepalive
      ? {
          tcpKeepalive: tcpKeepalive({
            probes: keepalive.probes,
            timeMs: milliseconds(keepalive.time),
            intervalMs: milliseconds(keepalive.interval),
          }),
        }
      : {}),
    ...limit('maxConnectionDurationMs', milliseconds(tcp.maxConnectionDuration)),
    ...limit('maxPendingRequests', http.http1MaxPendingRequests),
    ...limit('maxRequests', http.http2MaxRequests),
    ...limit('maxRequestsPerConnection', http.maxRequestsPerConnection),
    ...limit('maxRetries', http.maxRetries),
    ...limit('maxConcurrentStreams', http.maxConcurrentStreams),
    // 0: for ever.
    ...(idle === undefined ? {} : { idleTimeoutMs: idle }),
  };
}

function limit<K extends keyof ConnectionPool>(name: K, value: number | undefined): { [P in K]?: number } {
  const found: { [P in K]?: number } = {};
  if (value !== undefined && value > 0) found[name] = value;
  return found;
}

export function notePool(settings: PoolSettings, path: string, problems: RuleProblems): void {
  if (settings.http?.http2KeepAlive)
    problems.note(`${path}.http.http2KeepAlive`, 'dead connections are found by TCP and by requests that fail');
}

/** What the backend speaks, where the policy has a say. */
export function upgradedProtocol(
  protocol: Backend['protocol'],
  settings: PoolSettings | undefined,
): Backend['protocol'] {
  if (protocol === 'tcp') return protocol;
  if (settings?.http?.useClientProtocol) return 'auto';
  return settings?.http?.h2UpgradePolicy === 'UPGRADE' ? 'http2' : protocol;
}

const consecutive5xx = 5;
const consecutiveLocalOriginFailures = 5;
const intervalMs = 10_000;
const baseEjectionMs = 30_000;
const maxEjectionPercent = 10;

export function outlierDetectionOf(settings: OutlierSettings): OutlierDetection {
  const splitsLocalOrigin = settings.splitExternalLocalOriginErrors ?? false;
  return {
    consecutive5xx: atLeast0(settings.consecutive5xxErrors ?? consecutive5xx),
    consecutiveGatewayErrors: atLeast0(settings.consecutiveGatewayErrors ?? settings.consecutiveErrors ?? 0),
    consecutiveLocalOriginFailures: splitsLocalOrigin
      ? atLeast0(settings.consecutiveLocalOriginFailures ?? consecutiveLocalOriginFailures)
      : 0,
    splitsLocalOrigin,
    intervalMs: milliseconds(settings.interval) || intervalMs,
    baseEjectionMs: milliseconds(settings.baseEjectionTime) || baseEjectionMs,
    maxEjectionPercent: percent(settings.maxEjectionPercent || maxEjectionPercent),
    minHealthPercent: percent(settings.minHealthPercent ?? 0),
  };
}

/** What admission refuses must not come to a proxy, which would refuse everything with it. */
function percent(value: number): number {
  return Math.min(100, atLeast0(value));
}

function atLeast0(value: number): number {
  return Math.max(0, value);
}

export function faultOutliers(settings: OutlierSettings, path: string, problems: RuleProblems): void {
  if (settings.outlierDetectionHttpErrorCodes?.length) {
    const message = 'answers 5xx count as errors, and no others';
    problems.fault(`${path}.outlierDetectionHttpErrorCodes`, 'UnsupportedValue', message);
  }
}

const budgetPercent = 20;
const minRetryConcurrency = 3;

export function retryBudgetOf(budget: NonNullable<TrafficPolicy['retryBudget']>): NonNullable<Backend['retryBudget']> {
  return {
    percent: percent(budget.percent ?? budgetPercent),
    minConcurrency: atLeast0(budget.minRetryConcurrency ?? minRetryConcurrency),
    intervalMs: milliseconds(budget.budgetInterval) ?? 0,
  };
}
