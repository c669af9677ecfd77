/** Access log: which connections have a line, and when it is written. */
import {
  lineFormat,
  type AccessLogFormat,
  type AccessLogRecord,
  type FailedRecord,
  type OpenedRecord,
} from './access-line.ts';
import { LineWriter } from './line-writer.ts';

/** Least severe level that is written: `info` has a line for each connection, `debug` one more when it begins. */
export type AccessLogThreshold = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Later exporters (OTLP) implement it too: records are plain values. */
export interface AccessLog {
  /** What is written from now on. */
  threshold: AccessLogThreshold;
  /** A connection ended: message "connection complete", level error when it failed. */
  complete(record: AccessLogRecord): void;
  /** A connection began: message "connection opened", level debug. Made only where it is written. */
  opened(record: () => OpenedRecord): void;
  /** A connection that never began: message "connection failed", level warn. */
  failed(record: FailedRecord): void;
  /**
   * Where lines come faster than they are read, resolves once there is room; undefined when there is. Whoever waits before it
   * takes a new connection loses no line. Nobody waits for a reader that has stopped.
   */
  room(): Promise<void> | undefined;
  flush(): Promise<void>;
}

export interface AccessLogOptions {
  readonly format: AccessLogFormat;
  readonly write: (text: string, done: () => void) => void;
  readonly nowMs: () => number;
  readonly threshold?: AccessLogThreshold;
  /** Share of connections with a line among those that succeeded: 0 to 1. Failures always have one. Default 1. */
  readonly sampling?: number;
  /** Lines that may wait. Default 10,000. */
  readonly maxLines?: number;
}

const order: Readonly<Record<AccessLogThreshold, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

export function openAccessLog(options: AccessLogOptions): AccessLog {
  const { nowMs, maxLines } = options;
  const lines = lineFormat(options.format);
  const isSampled = createSampler(options.sampling ?? 1);
  let threshold = options.threshold ?? 'info';
  let passing = order[threshold];
  const writer = new LineWriter({
    write: options.write,
    nowMs,
    ...(maxLines === undefined ? {} : { maxLines }),
    droppedLine: (count) => lines.dropped(nowMs(), count),
  });
  return {
    get threshold() {
      return threshold;
    },
    set threshold(next) {
      threshold = next;
      passing = order[next];
    },
    complete(record) {
      if (record.error === undefined ? passing > order.info || !isSampled(record.traceId) : passing > order.error)
        return;
      writer.write(lines.complete(nowMs(), record));
    },
    opened(make) {
      if (passing > order.debug) return;
      writer.write(lines.opened(nowMs(), make()));
    },
    failed(record) {
      if (passing <= order.warn) writer.write(lines.failed(nowMs(), record));
    },
    room: () => writer.room(),
    flush: () => writer.flush(),
  };
}

/** By trace id, where there is one: then both ends of a connection write their line, or none. */
function createSampler(share: number): (traceId: string | undefined) => boolean {
  if (share >= 1) return () => true;
  const below = share * 2 ** 32;
  let sum = 0;
  return (traceId) => {
    if (traceId !== undefined) return Number.parseInt(traceId.slice(-8), 16) < below;
    sum += share;
    if (sum < 1) return false;
    sum -= 1;
    return true;
  };
}
