/** Whether an attempt that failed, or was answered, is worth another one, and when (ambient-l7, 2.1). Pure. */
import type { RetryCondition, RetryPolicy } from '../../api/l7/index.ts';
import type { ResponseHead } from '../../http/message.ts';
import type { UpstreamFailure } from '../upstream/upstream.ts';

export type AttemptOutcome =
  | { readonly kind: 'failed'; readonly failure: UpstreamFailure }
  | { readonly kind: 'answered'; readonly head: ResponseHead; readonly isGrpc: boolean }
  | { readonly kind: 'timed-out' };

export function isRetriable(policy: RetryPolicy, outcome: AttemptOutcome): boolean {
  return policy.on.some((condition) => meets(condition, policy, outcome));
}

function meets(condition: RetryCondition, policy: RetryPolicy, outcome: AttemptOutcome): boolean {
  switch (outcome.kind) {
    case 'timed-out':
      return (
        condition === '5xx' ||
        condition === 'gateway-error' ||
        (condition === 'retriable-status-codes' && policy.statusCodes.includes(504))
      );
    case 'failed':
      return meetsFailure(condition, policy, outcome.failure);
    case 'answered':
      return outcome.isGrpc && outcome.head.headers.has('grpc-status')
        ? meetsGrpc(condition, Number(outcome.head.headers.get('grpc-status')))
        : meetsStatus(condition, policy, outcome.head);
  }
}

/** Before a connection, or on it, before any answer. What no other host would change is no reason. */
function meetsFailure(condition: RetryCondition, policy: RetryPolicy, { kind, sent }: UpstreamFailure): boolean {
  const noConnection = kind === 'connect-failure' || kind === 'connect-timeout';
  const reset =
    noConnection ||
    kind === 'connection-termination' ||
    kind === 'remote-reset' ||
    kind === 'refused' ||
    kind === 'protocol-error';
  switch (condition) {
    case 'connect-failure':
      return noConnection;
    case 'refused-stream':
      return kind === 'refused';
    case 'reset':
    case '5xx':
      return reset;
    case 'reset-before-request':
      return reset && sent === 'no';
    case 'retriable-status-codes':
      return reset && policy.statusCodes.includes(503);
    default:
      return false;
  }
}

function meetsStatus(condition: RetryCondition, policy: RetryPolicy, { status, headers }: ResponseHead): boolean {
  switch (condition) {
    case '5xx':
      return status >= 500;
    case 'gateway-error':
      return status === 502 || status === 503 || status === 504;
    case 'retriable-4xx':
      return status === 409;
    case 'retriable-status-codes':
      return policy.statusCodes.includes(status);
    case 'envoy-ratelimited':
      return headers.has('x-envoy-ratelimited');
    default:
      return false;
  }
}

function meetsGrpc(condition: RetryCondition, status: number): boolean {
  switch (condition) {
    case 'cancelled':
      return status === 1;
    case 'deadline-exceeded':
      return status === 4;
    case 'resource-exhausted':
      return status === 8;
    case 'internal':
      return status === 13;
    case 'unavailable':
      return status === 14;
    default:
      return false;
  }
}

/** Full jitter: between nothing and the base doubled for each retry so far. `retry` is 1 for the first. */
export function retryDelayMs(policy: RetryPolicy, retry: number, draw: number): number {
  const most = Math.min(policy.backoffMaxMs, policy.backoffBaseMs * (2 ** retry - 1));
  return Math.floor(draw * most);
}
