/** W3C trace context: the `traceparent` header (https://www.w3.org/TR/trace-context/). */
import { randomFillSync } from 'node:crypto';

export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
}

// One call to the random generator serves 128 contexts: it costs more than everything else here.
const pool = Buffer.allocUnsafe(24 * 128);
let used = pool.length;

/** A new context, not sampled. */
export function createTraceContext(): TraceContext {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + 24);
  used += 24;
  const traceId = hex.slice(0, 32);
  const spanId = hex.slice(32);
  return isZero(traceId) || isZero(spanId) ? createTraceContext() : { traceId, spanId, sampled: false };
}

/** The context of a header; undefined when it is none we understand. Later versions may carry more after the flags. */
export function tryParseTraceparent(header: string): TraceContext | undefined {
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header);
  if (!parts) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = parts;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (isZero(traceId) || isZero(spanId)) return undefined;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? '01' : '00'}`;
}

function isZero(hex: string): boolean {
  return /^0+$/.test(hex);
}
