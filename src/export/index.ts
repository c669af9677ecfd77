/** Spans on their way out. */
export { createSpanExporter, type SpanExporter, type SpanExporterOptions } from './span-exporter.ts';
export { encodeZipkin } from './zipkin.ts';
