/** One step of a trace, as exporters send it. */

export interface Span {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: 'server' | 'client';
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly tags: readonly (readonly [name: string, value: string])[];
  readonly isError: boolean;
}

/** Who made it. */
export interface SpanSource {
  /** As traces show it, as in `waypoint.shop`. */
  readonly serviceName: string;
  /** IP of the process. */
  readonly address: string;
  readonly version: string;
}
