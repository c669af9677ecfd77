/** Outlier detection: when a host is taken out, and for how long. The state of a host is an argument; nothing here waits. */
import type { OutlierDetection } from '../../api/l7/index.ts';

/** Counts of failures in a row. */
export interface OutlierState {
  serverErrors: number;
  gatewayErrors: number;
  localOriginFailures: number;
  /** Times the base is multiplied with for the next ejection, less one: it grows with each, and shrinks while all is well. */
  multiplier: number;
  /** Since the start; for people. */
  ejections: number;
  /** 0: in use. */
  ejectedUntilMs: number;
}

export function createOutlierState(): OutlierState {
  return {
    serverErrors: 0,
    gatewayErrors: 0,
    localOriginFailures: 0,
    multiplier: 0,
    ejections: 0,
    ejectedUntilMs: 0,
  };
}

/** Longest ejection, where the base is not longer (as in Envoy). */
const maxEjectionMs = 300_000;

/** Counts an answer; whether the host is now one to eject. */
export function noteStatus(state: OutlierState, status: number, config: OutlierDetection): boolean {
  if (config.splitsLocalOrigin) state.localOriginFailures = 0;
  if (status < 500) {
    state.serverErrors = 0;
    state.gatewayErrors = 0;
    return false;
  }
  state.serverErrors++;
  if (status >= 502 && status <= 504) state.gatewayErrors++;
  else state.gatewayErrors = 0;
  return (
    exceeds(state.serverErrors, config.consecutive5xx) || exceeds(state.gatewayErrors, config.consecutiveGatewayErrors)
  );
}

/** Counts a request without an answer; whether the host is now one to eject. */
export function noteFailure(state: OutlierState, config: OutlierDetection): boolean {
  if (!config.splitsLocalOrigin) return noteStatus(state, 503, config);
  state.localOriginFailures++;
  return exceeds(state.localOriginFailures, config.consecutiveLocalOriginFailures);
}

/** Whether one more host may go: at least one always may, where another one is left. */
export function mayEject(config: OutlierDetection, hosts: number, ejected: number): boolean {
  if (hosts < 2) return false;
  return ejected === 0 ? config.maxEjectionPercent > 0 : (100 * (ejected + 1)) / hosts <= config.maxEjectionPercent;
}

export function eject(state: OutlierState, config: OutlierDetection, nowMs: number): void {
  state.multiplier++;
  state.ejections++;
  const longest = Math.max(maxEjectionMs, config.baseEjectionMs);
  state.ejectedUntilMs = nowMs + Math.min(config.baseEjectionMs * state.multiplier, longest);
}

/** Takes it back, with a clean sheet but for the multiplier. */
export function restore(state: OutlierState): void {
  state.ejectedUntilMs = 0;
  state.serverErrors = 0;
  state.gatewayErrors = 0;
  state.localOriginFailures = 0;
}

/** After each interval in which a host was in use. */
export function forgive(state: OutlierState): void {
  if (state.ejectedUntilMs === 0 && state.multiplier > 0) state.multiplier--;
}

function exceeds(count: number, limit: number): boolean {
  return limit > 0 && count >= limit;
}
