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
      return meetsStatus(condition, policy, 504);
    case 'failed':
      return meetsFailure(condition, policy, outcome.failure);
    case 'answered': {
      const { headers, status } = outcome.head;
      const grpcStatus = outcome.isGrpc ? headers.get('grpc-status') : undefined;
      if (grpcStatus !== undefined) return grpcConditions.get(condition) === Number(grpcStatus);
      if (condition === 'envoy-ratelimited') return headers.has('x-envoy-ratelimited');
      return meetsStatus(condition, policy, status);
    }
  }
}

/** Before a connection, or on it, before any answer. What no other host would change is no reason. */
function meetsFailure(condition: RetryCondition, policy: RetryPolicy, { kind, sent }: UpstreamFailure): boolean {
  const noConnection = kind === 'connect-failure' || kind === 'connect-timeout';
  const reset = noConnection || resets.has(kind);
  if (condition === 'connect-failure') return noConnection;
  if (condition === 'refused-stream') return kind === 'refused';
  if (condition === 'reset' || condition === '5xx') return reset;
  if (condition === 'reset-before-request') return reset && sent === 'no';
  return condition === 'retriable-status-codes' && reset && policy.statusCodes.includes(503);
}

const resets: ReadonlySet<UpstreamFailure['kind']> = new Set([
  'connection-termination',
  'remote-reset',
  'refused',
  'protocol-error',
]);

function meetsStatus(condition: RetryCondition, policy: RetryPolicy, status: number): boolean {
  if (condition === '5xx') return status >= 500;
  if (condition === 'gateway-error') return status >= 502 && status <= 504;
  if (condition === 'retriable-4xx') return status === 409;
  return condition === 'retriable-status-codes' && policy.statusCodes.includes(status);
}

/** The gRPC status of each condition. */
const grpcConditions: ReadonlyMap<RetryCondition, number> = new Map([
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['resource-exhausted', 8],
  ['internal', 13],
  ['unavailable', 14],
]);

/** Full jitter: between nothing and the base doubled for each retry so far. `retry` is 1 for the first. */
export function retryDelayMs(policy: RetryPolicy, retry: number, draw: number): number {
  const most = Math.min(policy.backoffMaxMs, policy.backoffBaseMs * (2 ** retry - 1));
  return Math.floor(draw * most);
}
