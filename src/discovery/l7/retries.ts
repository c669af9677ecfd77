/** Retries as Istio writes them, and what is tried again where no route says it (ambient-l7, 1.6 item 7 and 2.1). Pure. */
import type { VirtualService } from '../../api/istio.ts';
import type { RetryCondition, RetryPolicy } from '../../api/l7/index.ts';
import { milliseconds } from './durations.ts';

export type HttpRetries = NonNullable<NonNullable<NonNullable<VirtualService['spec']>['http']>[number]['retries']>;

const conditions: ReadonlySet<string> = new Set<RetryCondition>([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

const defaultConditions: readonly RetryCondition[] = [
  'connect-failure',
  'refused-stream',
  'unavailable',
  'cancelled',
  'retriable-status-codes',
];

const defaultAttempts = 2;
const defaultBackoffMs = 25;
/** Of the first back-off. */
const maxBackoffFactor = 10;

/** `retryOn` names conditions and status codes; what is neither is passed over: admission has refused it. */
export function retryPolicy(retries: HttpRetries): RetryPolicy {
  const attempts = Math.max(0, retries.attempts ?? 0);
  const names = causesOf(retries);
  const statusCodes = names.filter(isStatusCode).map(Number);
  const named = names.filter(isCondition);
  const on = names.length === 0 ? defaultConditions : named;
  const backoffBaseMs = milliseconds(retries.backoff) || defaultBackoffMs;
  const perTryTimeoutMs = milliseconds(retries.perTryTimeout);
  return {
    attempts,
    ...(perTryTimeoutMs ? { perTryTimeoutMs } : {}),
    on:
      attempts === 0
        ? []
        : statusCodes.length > 0 && !on.includes('retriable-status-codes')
          ? [...on, 'retriable-status-codes']
          : on,
    statusCodes,
    backoffBaseMs,
    backoffMaxMs: backoffBaseMs * maxBackoffFactor,
    avoidsPreviousHosts: retries.retryIgnorePreviousHosts ?? true,
    remoteLocalities: retries.retryRemoteLocalities ?? false,
  };
}

/** No header is ever said that would make an answer one to retry. */
const withoutMeaning = 'retriable-headers';

export function causesWithoutEffect(retries: HttpRetries): string[] {
  return causesOf(retries).filter((name) => name === withoutMeaning || (!isCondition(name) && !isStatusCode(name)));
}

function causesOf({ retryOn = '' }: HttpRetries): string[] {
  return retryOn
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function isStatusCode(name: string): boolean {
  return /^[1-5]\d\d$/.test(name);
}

function isCondition(name: string): name is RetryCondition {
  return conditions.has(name);
}

/** Of routes that somebody wrote without a word on retries. */
export const defaultRetry: RetryPolicy = retryPolicy({ attempts: defaultAttempts });

/** Of a Service without routes at its own waypoint: only what no application can have seen. */
export const inboundRetry: RetryPolicy = retryPolicy({
  attempts: defaultAttempts,
  retryOn: 'reset-before-request,connect-failure',
});

/** gRPC clients have retries of their own. */
export const noRetry: RetryPolicy = retryPolicy({ attempts: 0 });
