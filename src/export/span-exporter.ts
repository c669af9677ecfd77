/** Sends spans in batches: bounded, never in the way of traffic, honest about what it dropped. */
import { createBackoff } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Span } from '../telemetry/index.ts';

export interface SpanExporterOptions {
  /** One batch; a rejection says that it was not taken. */
  readonly send: (spans: readonly Span[]) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** So many spans were lost. */
  readonly onDropped: (count: number) => void;
  /** Spans that may wait. Default 2048. */
  readonly maxQueue?: number;
  /** Default 512: as many go at once, without waiting. */
  readonly maxBatch?: number;
  /** How long a span waits for others. Default 5 s. */
  readonly intervalMs?: number;
}

export interface SpanExporter {
  /** Takes the span, or counts it as lost where too many wait. */
  add(span: Span): void;
  /** Sends what waits; resolves when it was taken or lost. */
  flush(): Promise<void>;
}

/** Attempts of one batch: a collector that is away longer has lost it. */
const mostAttempts = 3;

export function createSpanExporter(options: SpanExporterOptions): SpanExporter {
  const { send, clock, log, onDropped, maxQueue = 2048, maxBatch = 512, intervalMs = 5000 } = options;
  const backoff = createBackoff({ initialMs: 1000, maxMs: 10_000 });
  let waiting: Span[] = [];
  let cancelTimer: (() => void) | undefined;
  let sending: Promise<void> | undefined;
  let isFailing = false;

  const schedule = (): void => {
    cancelTimer ??= clock.after(intervalMs, () => {
      cancelTimer = undefined;
      start();
    });
  };
  const start = (): void => {
    if (sending || waiting.length === 0) return;
    cancelTimer?.();
    cancelTimer = undefined;
    const batch = waiting.slice(0, maxBatch);
    waiting = waiting.slice(maxBatch);
    sending = deliver(batch, 1).finally(() => {
      sending = undefined;
      if (waiting.length >= maxBatch) start();
      else if (waiting.length > 0) schedule();
    });
  };
  const deliver = async (batch: readonly Span[], attempt: number): Promise<void> => {
    try {
      await send(batch);
      if (isFailing) log.info('spans are taken again');
      isFailing = false;
      backoff.reset();
    } catch (error) {
      if (!isFailing) log.warn('spans are not taken', { error: messageOf(error) });
      isFailing = true;
      if (attempt === mostAttempts) return onDropped(batch.length);
      await new Promise<void>((resolve) => void clock.after(backoff.next(), resolve));
      return deliver(batch, attempt + 1);
    }
  };
  return {
    add(span) {
      if (waiting.length >= maxQueue) return onDropped(1);
      waiting.push(span);
      if (waiting.length >= maxBatch) start();
      else schedule();
    },
    async flush() {
      for (;;) {
        start();
        if (!sending) return;
        await sending;
      }
    },
  };
}
