/** What a collector reads of an export of spans (tests only). */
import { fromBinary } from '@bufbuild/protobuf';
import { ExportTraceServiceRequestSchema } from '../gen/otlp_pb.ts';

export interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** "" of a root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** Nanoseconds since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly kind: number;
  readonly isError: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly service: string;
}

export function decodeSpans(bytes: Uint8Array): DecodedSpan[] {
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, bytes);
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: Buffer.from(span.traceId).toString('hex'),
        spanId: Buffer.from(span.spanId).toString('hex'),
        parentSpanId: Buffer.from(span.parentSpanId).toString('hex'),
        name: span.name,
        start: span.startTimeUnixNano,
        end: span.endTimeUnixNano,
        kind: span.kind,
        isError: span.status?.code === 2,
        tags: Object.fromEntries(span.attributes.map(({ key, value }) => [key, String(value?.value.value)])),
        service: String(resource?.attributes[0]?.value?.value.value),
      })),
    ),
  );
}
