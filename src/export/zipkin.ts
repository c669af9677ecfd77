/** Spans as Zipkin's API version 2 takes them: a JSON list. */
import type { Span, SpanSource } from '../telemetry/index.ts';

export function encodeZipkin(spans: readonly Span[], { serviceName, address }: SpanSource): Uint8Array {
  const localEndpoint = { serviceName, [address.includes(':') ? 'ipv6' : 'ipv4']: address };
  return Buffer.from(JSON.stringify(spans.map((span) => ({ ...spanOf(span), localEndpoint }))));
}

function spanOf({ traceId, spanId, parentSpanId, name, kind, startMs, durationMs, tags, isError }: Span): object {
  return {
    traceId,
    id: spanId,
    ...(parentSpanId === undefined ? {} : { parentId: parentSpanId }),
    name,
    kind: kind === 'server' ? 'SERVER' : 'CLIENT',
    // Microseconds; a duration is at least one.
    timestamp: Math.round(startMs * 1000),
    duration: Math.max(1, Math.round(durationMs * 1000)),
    tags: { ...Object.fromEntries(tags), ...(isError ? { error: 'true' } : {}) },
  };
}
