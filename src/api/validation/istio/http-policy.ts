/** Retries, faults and cross-origin rules of a route. */
import { grpcStatusNames } from '../../grpc-status.ts';
import { STATUS_CODES } from 'node:http';
import type { FieldView } from '../../field-view.ts';
import { goDurationNanos } from '../../schema/formats.ts';
import type { Findings } from '../validation.ts';
import { checkStringMatch } from './string-match.ts';
import { checkDuration, checkFraction, checkHeaderName, checkPercent } from './values.ts';

/** What Envoy can retry on, for HTTP and for gRPC. */
const retryCauses: ReadonlySet<string> = new Set([
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
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

const grpcStatuses: ReadonlySet<string> = new Set(grpcStatusNames);

export function checkRetries(retries: FieldView, found: Findings): void {
  if (!retries.exists) return;
  const attempts = retries.at('attempts');
  if ((attempts.number ?? 0) < 0) found.invalid(attempts, 'must be greater than or equal to 0');
  if (!attempts.number) {
    for (const field of ['perTryTimeout', 'retryOn', 'retryRemoteLocalities', 'retryIgnorePreviousHosts', 'backoff']) {
      if (retries.at(field).exists)
        found.forbidden(retries.at(field), 'has no effect while attempts is 0, which turns retries off: set attempts');
    }
  }
  checkDuration(retries.at('perTryTimeout'), found);
  checkDuration(retries.at('backoff'), found);
  const retryOn = retries.at('retryOn');
  for (const cause of (retryOn.text ?? '').split(',').filter((each) => each !== '')) {
    if (!retryCauses.has(cause) && STATUS_CODES[cause] === undefined) {
      found.invalid(
        retryOn,
        `${JSON.stringify(cause)} is no cause: use HTTP status codes and ${[...retryCauses].join(', ')}`,
      );
    }
  }
}

export function checkFault(fault: FieldView, found: Findings): void {
  if (!fault.exists) return;
  const delay = fault.at('delay');
  const abort = fault.at('abort');
  if (!delay.exists && !abort.exists) found.required(fault, 'set delay, abort, or both');
  checkFraction(delay.at('percentage'), found);
  checkDuration(delay.at('fixedDelay'), found);
  if (delay.at('exponentialDelay').exists)
    found.forbidden(delay.at('exponentialDelay'), 'is not supported: use fixedDelay');
  const percent = delay.at('percent');
  checkPercent(percent, found);
  if (percent.exists) found.warn(percent, 'is deprecated: use percentage');
  checkAbort(abort, found);
}

function checkAbort(abort: FieldView, found: Findings): void {
  if (!abort.exists) return;
  checkFraction(abort.at('percentage'), found);
  const status = abort.at('httpStatus');
  const grpc = abort.at('grpcStatus');
  if (abort.at('http2Error').exists)
    found.forbidden(abort.at('http2Error'), 'is not supported: use httpStatus or grpcStatus');
  else if (!status.exists && !grpc.exists) found.warn(abort, 'aborts nothing: set httpStatus or grpcStatus');
  if (status.number !== undefined && !(status.number >= 200 && status.number <= 599))
    found.invalid(status, 'must be a status, 200 to 599');
  if (grpc.text !== undefined && !grpcStatuses.has(grpc.text)) found.notSupported(grpc, [...grpcStatuses]);
}

export function checkCors(policy: FieldView, found: Findings): void {
  for (const origin of policy.at('allowOrigins').items()) {
    checkStringMatch(origin, found);
    if (!['exact', 'prefix', 'regex'].some((field) => origin.at(field).exists)) {
      found.required(origin, 'set exact, prefix or regex: an empty match would let every origin in');
    }
  }
  for (const field of ['allowHeaders', 'exposeHeaders']) {
    for (const name of policy.at(field).items()) if (name.text !== '*') checkHeaderName(name, name.text ?? '', found);
  }
  for (const method of policy.at('allowMethods').items()) {
    if (method.text !== undefined && !/^(?:\*|[A-Z][-A-Z0-9_]*)$/.test(method.text)) {
      found.invalid(method, 'must be an HTTP method in capitals, as GET, or *');
    }
  }
  const maxAge = policy.at('maxAge');
  checkDuration(maxAge, found);
  if (maxAge.text && (goDurationNanos(maxAge.text) ?? 0n) % 1_000_000_000n !== 0n) {
    found.invalid(maxAge, 'must be a whole number of seconds');
  }
}
