/** Spans as OTLP has them (`opentelemetry.proto.trace.v1`). */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Span, SpanSource } from '../telemetry/index.ts';
import {
  ExportTraceServiceRequestSchema,
  ExportTraceServiceResponseSchema,
  type KeyValueSchema,
  Span_SpanKind,
  type SpanSchema,
  Status_StatusCode,
} from '../gen/otlp_pb.ts';
import { parseMessage, serializeMessage } from './message.ts';

/** The method of gRPC that takes them. */
export const exportSpansPath = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export function encodeSpans(spans: readonly Span[], { serviceName, version }: SpanSource): Uint8Array {
  return serializeMessage(ExportTraceServiceRequestSchema, {
    resourceSpans: [
      {
        resource: { attributes: [keyValue('service.name', serviceName)] },
        scopeSpans: [{ scope: { name: 'ambit', version }, spans: spans.map(spanOf) }],
      },
    ],
  });
}

/** What a collector did not take of an export, and why; undefined: it took all. */
export function decodeSpansAnswer(
  bytes: Uint8Array,
): { readonly rejected: number; readonly reason: string } | undefined {
  const { partialSuccess } = parseMessage(ExportTraceServiceResponseSchema, bytes);
  if (!partialSuccess || partialSuccess.rejectedSpans === 0n) return undefined;
  return { rejected: Number(partialSuccess.rejectedSpans), reason: partialSuccess.errorMessage };
}

function spanOf(span: Span): MessageInitShape<typeof SpanSchema> {
  const { traceId, spanId, parentSpanId, traceState, name, kind, startMs, durationMs, tags, isError } = span;
  return {
    traceId: Buffer.from(traceId, 'hex'),
    spanId: Buffer.from(spanId, 'hex'),
    ...(parentSpanId === undefined ? {} : { parentSpanId: Buffer.from(parentSpanId, 'hex') }),
    ...(traceState === undefined ? {} : { traceState }),
    name,
    kind: kind === 'server' ? Span_SpanKind.SERVER : Span_SpanKind.CLIENT,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(startMs + durationMs),
    attributes: tags.map(([key, value]) => keyValue(key, value)),
    ...(isError ? { status: { code: Status_StatusCode.ERROR } } : {}),
    flags: 1,
  };
}

function keyValue(key: string, value: string): MessageInitShape<typeof KeyValueSchema> {
  return { key, value: { value: { case: 'stringValue', value } } };
}

/** Whole milliseconds apart, so that nothing is lost in a floating number. */
function nanoseconds(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
}
