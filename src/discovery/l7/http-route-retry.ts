/** Timeouts and retries of HTTPRoute in the terms of the model (ambient-l7, 2.3). Pure. */
import type { HTTPRoute } from '../../api/gateway.ts';
import type { HttpRule, RetryPolicy } from '../../api/l7/index.ts';
import { durationMs } from './gateway-api-duration.ts';

type HttpRouteRule = NonNullable<HTTPRoute['spec']['rules']>[number];

const defaultAttempts = 2;
const defaultBackoffMs = 25;

/** A backend's timeout is that of each attempt where there are attempts, else that of the whole. */
export function readTimeouts({ timeouts, retry }: HttpRouteRule): Pick<HttpRule, 'timeoutMs'> {
  const request = durationMs(timeouts?.request) ?? 0;
  const backend = retry ? 0 : (durationMs(timeouts?.backendRequest) ?? 0);
  // 0 is for ever.
  const timeoutMs = request > 0 && backend > 0 ? Math.min(request, backend) : request + backend;
  return timeoutMs > 0 ? { timeoutMs } : {};
}

export function readRetry(
  { codes = [], attempts = defaultAttempts, backoff }: NonNullable<HttpRouteRule['retry']>,
  timeouts: HttpRouteRule['timeouts'],
): RetryPolicy {
  const perTryTimeoutMs = durationMs(timeouts?.backendRequest) ?? 0;
  const backoffBaseMs = durationMs(backoff) || defaultBackoffMs;
  return {
    attempts,
    ...(perTryTimeoutMs > 0 ? { perTryTimeoutMs } : {}),
    on: [
      'connect-failure',
      'refused-stream',
      'unavailable',
      'cancelled',
      ...(codes.length > 0 ? (['retriable-status-codes'] as const) : []),
    ],
    statusCodes: codes,
    backoffBaseMs,
    backoffMaxMs: 10 * backoffBaseMs,
    avoidsPreviousHosts: true,
    remoteLocalities: false,
  };
}
