/** The rate limit service's one call, `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`. */
import {
  type HeaderPair,
  RateLimitRequestSchema,
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
  type RateLimitResponse_DescriptorStatus as DescriptorStatus,
  RateLimitResponseSchema,
} from '../gen/rate_limit_pb.ts';
import { wireError } from './errors.ts';
import { decodeHeader, encodeHeaderText } from './header-fields.ts';
import { parseMessage, serializeMessage } from './message.ts';

export type RateLimitDescriptor = readonly (readonly [key: string, value: string])[];

export interface RateLimitQuery {
  readonly domain: string;
  /** Each counts by itself, once. */
  readonly descriptors: readonly RateLimitDescriptor[];
}

export interface RateLimitVerdict {
  readonly overLimit: boolean;
  /** One a descriptor, in their order. */
  readonly statuses: readonly RateLimitStatus[];
  readonly responseHeaders: readonly (readonly [name: string, value: string])[];
  readonly requestHeaders: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface RateLimitStatus {
  readonly overLimit: boolean;
  /** Absent: nothing is configured for the descriptor. */
  readonly limit?: { readonly requests: number; readonly windowSeconds: number };
  readonly remaining: number;
  /** Undefined: not said. */
  readonly resetMs: number | undefined;
}

const daySeconds = 86_400;

const unitSeconds: Readonly<Record<Unit, number>> = {
  [Unit.UNKNOWN]: 0,
  [Unit.SECOND]: 1,
  [Unit.MINUTE]: 60,
  [Unit.HOUR]: 3_600,
  [Unit.DAY]: daySeconds,
  [Unit.WEEK]: 7 * daySeconds,
  [Unit.MONTH]: 30 * daySeconds,
  [Unit.YEAR]: 365 * daySeconds,
};

export const shouldRateLimitMethod: {
  readonly path: string;
  encodeRequest(query: RateLimitQuery): Uint8Array;
  /** `count`: how many descriptors were asked about. Throws `wire.malformed`, `wire.unknown-enum`. */
  decodeResponse(bytes: Uint8Array, count: number): RateLimitVerdict;
} = {
  path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',

  encodeRequest: ({ domain, descriptors }) =>
    serializeMessage(RateLimitRequestSchema, {
      domain,
      descriptors: descriptors.map((entries) => ({
        entries: entries.map(([key, value]) => ({ key, value: encodeHeaderText(value) })),
      })),
    }),

  decodeResponse(bytes, count) {
    const message = parseMessage(RateLimitResponseSchema, bytes);
    // A service that answers for all at once may leave the statuses out.
    if (message.statuses.length !== 0 && message.statuses.length !== count) {
      throw wireError('malformed', 'statuses', `there are ${message.statuses.length} for ${count} descriptors`);
    }
    return {
      overLimit: isOverLimit('overall_code', message.overallCode),
      statuses: message.statuses.map((status, i) => decodeStatus(`statuses[${i}]`, status)),
      responseHeaders: decodeHeaders('response_headers_to_add', message.responseHeadersToAdd),
      requestHeaders: decodeHeaders('request_headers_to_add', message.requestHeadersToAdd),
      body: message.rawBody,
    };
  },
};

function decodeStatus(field: string, status: DescriptorStatus): RateLimitStatus {
  const { code, currentLimit, limitRemaining, durationUntilReset } = status;
  const windowSeconds = currentLimit === undefined ? 0 : (unitSeconds[currentLimit.unit] ?? 0);
  return {
    overLimit: isOverLimit(`${field}.code`, code),
    ...(currentLimit ? { limit: { requests: currentLimit.requestsPerUnit, windowSeconds } } : {}),
    remaining: limitRemaining,
    resetMs:
      durationUntilReset && Number(durationUntilReset.seconds) * 1000 + Math.ceil(durationUntilReset.nanos / 1_000_000),
  };
}

function isOverLimit(field: string, code: Code): boolean {
  if (code === Code.OVER_LIMIT) return true;
  if (code === Code.OK) return false;
  throw wireError('unknown-enum', field, `the value ${code} says neither OK nor OVER_LIMIT`);
}

function decodeHeaders(field: string, headers: readonly HeaderPair[]): (readonly [string, string])[] {
  return headers.map((header, i) => decodeHeader(`${field}[${i}]`, header));
}
