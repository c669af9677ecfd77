/** How a trace travels in headers: the W3C's `traceparent`, and B3 of Zipkin in many headers or in one. */
import { formatTraceparent, tryParseTraceparent } from './trace-context.ts';

/** Fields of a message; names in lower case. */
export interface TraceFields {
  get(name: string): string | undefined;
  set(name: string, value: string): unknown;
  remove(name: string): unknown;
}

export type TraceFormat = 'w3c' | 'b3-multi' | 'b3-single';

export interface IncomingTrace {
  /** 32 lower-case hex digits; absent: only a decision came. */
  readonly traceId: string | undefined;
  /** Of the caller's span. */
  readonly spanId: string | undefined;
  /** Undefined: nobody has decided. */
  readonly sampled: boolean | undefined;
  readonly traceState: string | undefined;
  /** The formats that it came in. */
  readonly formats: readonly TraceFormat[];
}

export interface OutgoingTrace {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly sampled: boolean;
}

/** Undefined: none came. Where several say different things, the W3C's counts, then B3 in one header. */
export function readTrace(fields: TraceFields): IncomingTrace | undefined {
  const traceparent = fields.get('traceparent');
  const w3c = traceparent === undefined ? undefined : tryParseTraceparent(traceparent);
  const b3 = fields.get('b3');
  const single = b3 === undefined ? undefined : parseB3(b3);
  const multi = readB3Headers(fields);
  const best = w3c ?? single ?? multi;
  if (!best) return undefined;
  const formats: TraceFormat[] = [];
  if (w3c) formats.push('w3c');
  if (single) formats.push('b3-single');
  if (multi) formats.push('b3-multi');
  return {
    traceId: best.traceId,
    spanId: best.spanId,
    sampled: best.sampled,
    traceState: w3c ? fields.get('tracestate') : undefined,
    formats,
  };
}

/** Leaves only `formats`, with the new span as the caller's. */
export function writeTrace(fields: TraceFields, trace: OutgoingTrace, formats: readonly TraceFormat[]): void {
  const { traceId, spanId, parentSpanId, sampled } = trace;
  if (formats.includes('w3c')) fields.set('traceparent', formatTraceparent(trace));
  const decision = sampled ? '1' : '0';
  if (formats.includes('b3-single')) {
    fields.set('b3', `${traceId}-${spanId}-${decision}${parentSpanId === undefined ? '' : `-${parentSpanId}`}`);
  }
  if (!formats.includes('b3-multi')) return;
  fields.set('x-b3-traceid', traceId);
  fields.set('x-b3-spanid', spanId);
  if (parentSpanId === undefined) fields.remove('x-b3-parentspanid');
  else fields.set('x-b3-parentspanid', parentSpanId);
  fields.set('x-b3-sampled', decision);
}

type Parsed = Pick<IncomingTrace, 'traceId' | 'spanId' | 'sampled'>;

/** `<trace>-<span>[-<decision>[-<parent>]]`, or a decision alone. */
function parseB3(text: string): Parsed | undefined {
  const [first = '', spanId, decision] = text.trim().toLowerCase().split('-');
  if (spanId === undefined) {
    const alone = decisionOf(first);
    return alone === undefined ? undefined : { traceId: undefined, spanId: undefined, sampled: alone };
  }
  return identified(first, spanId, decision === undefined ? undefined : decisionOf(decision));
}

function readB3Headers(fields: TraceFields): Parsed | undefined {
  const traceId = fields.get('x-b3-traceid');
  const spanId = fields.get('x-b3-spanid');
  const decision = fields.get('x-b3-sampled');
  const isDebug = fields.get('x-b3-flags') === '1';
  const sampled = isDebug ? true : decision === undefined ? undefined : decisionOf(decision.toLowerCase());
  if (traceId !== undefined && spanId !== undefined) {
    return identified(traceId.toLowerCase(), spanId.toLowerCase(), sampled);
  }
  return sampled === undefined ? undefined : { traceId: undefined, spanId: undefined, sampled };
}

function decisionOf(text: string): boolean | undefined {
  if (text === '1' || text === 'd' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : undefined;
}

/** Short trace ids of 16 digits are long ones that begin with zeros. */
function identified(traceId: string, spanId: string, sampled: boolean | undefined): Parsed | undefined {
  const isTrace = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(traceId) && /[^0]/.test(traceId);
  const isSpan = /^[0-9a-f]{16}$/.test(spanId) && /[^0]/.test(spanId);
  return isTrace && isSpan ? { traceId: traceId.padStart(32, '0'), spanId, sampled } : undefined;
}
