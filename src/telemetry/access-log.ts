/** Access log: one line a connection, with Istio's field names and order, as text or JSON. */
import { LineWriter } from './line-writer.ts';

/** One end of a connection. What is not known is absent. */
export interface AccessLogPeer {
  /** `ip:port` */
  readonly addr: string;
  readonly workload?: string | undefined;
  readonly namespace?: string | undefined;
  /** SPIFFE id; only where mutual TLS proved it. */
  readonly identity?: string | undefined;
  readonly cluster?: string | undefined;
}

export interface AccessLogRecord {
  readonly source: AccessLogPeer;
  readonly destination: AccessLogPeer & {
    /** CONNECT target, where `addr` is the tunnel's. */
    readonly hboneAddr?: string | undefined;
    readonly service?: string | undefined;
  };
  readonly direction: 'inbound' | 'outbound';
  /** By whoever writes the line: sent towards the destination, received from it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  /** `<namespace>/<name>` of the policy that decided, where one did. */
  readonly policy?: string | undefined;
  readonly traceId?: string | undefined;
  /** Why it failed; absent after success. */
  readonly error?: string | undefined;
}

export type AccessLogFormat = 'text' | 'json';
export type AccessLogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface AccessLog {
  /** A connection ended: message "connection complete", level error when it failed. */
  complete(record: AccessLogRecord): void;
  /** A connection that never began: message "connection failed". */
  failed(record: Pick<AccessLogRecord, 'source' | 'destination' | 'direction' | 'error'>): void;
  flush(): Promise<void>;
}

export interface AccessLogOptions {
  readonly format: AccessLogFormat;
  readonly write: (text: string, done: () => void) => void;
  readonly nowMs: () => number;
  readonly maxLines?: number;
}

export function openAccessLog(options: AccessLogOptions): AccessLog {
  const { format, nowMs } = options;
  const line = (level: AccessLogLevel, message: string, fields: Fields): string =>
    formatLine(format, nowMs(), level, message, fields);
  const writer = new LineWriter({
    write: options.write,
    ...(options.maxLines === undefined ? {} : { maxLines: options.maxLines }),
    droppedLine: (count) => line('warn', 'access log lines dropped', [['count', count]]),
  });
  return {
    complete: (record) =>
      writer.write(line(record.error === undefined ? 'info' : 'error', 'connection complete', fieldsOf(record))),
    failed({ source, destination, direction, error }) {
      const fields: Fields = [
        ['src.addr', raw(source.addr)],
        ['src.workload', source.workload],
        ['src.namespace', source.namespace],
        ['dst.addr', raw(destination.addr)],
        ['direction', direction],
        ['error', error],
      ];
      writer.write(line('warn', 'connection failed', fields));
    },
    flush: () => writer.flush(),
  };
}

/** A value that needs no escaping: addresses, which text does not quote, and hexadecimal. */
interface Raw {
  readonly raw: string;
  readonly quotes: string;
}
type FieldValue = string | number | Raw | undefined;
type Fields = [string, FieldValue][];

function raw(value: string): Raw {
  return { raw: value, quotes: '' };
}

function plain(value: string): Raw {
  return { raw: value, quotes: '"' };
}

function fieldsOf(record: AccessLogRecord): Fields {
  const { source, destination } = record;
  return [
    ['src.addr', raw(source.addr)],
    ['src.workload', source.workload],
    ['src.namespace', source.namespace],
    ['src.identity', source.identity],
    ['src.cluster', source.cluster],
    ['dst.addr', raw(destination.addr)],
    ['dst.hbone_addr', destination.hboneAddr === undefined ? undefined : raw(destination.hboneAddr)],
    ['dst.service', destination.service],
    ['dst.workload', destination.workload],
    ['dst.namespace', destination.namespace],
    ['dst.identity', destination.identity],
    ['dst.cluster', destination.cluster],
    ['direction', record.direction],
    ['bytes_sent', record.bytesSent],
    ['bytes_recv', record.bytesReceived],
    ['duration', `${Math.round(record.durationMs)}ms`],
    ['trace_id', record.traceId === undefined ? undefined : plain(record.traceId)],
    ['policy', record.policy],
    ['error', record.error],
  ];
}

function formatLine(
  format: AccessLogFormat,
  nowMs: number,
  level: AccessLogLevel,
  message: string,
  fields: Fields,
): string {
  // Milliseconds padded to the microseconds that readers of this format expect.
  const time = `${new Date(nowMs).toISOString().slice(0, -1)}000Z`;
  if (format === 'json') {
    let json = `{"level":"${level}","time":"${time}","scope":"access","message":${JSON.stringify(message)}`;
    for (const [name, value] of fields) {
      if (isAbsent(value)) continue;
      json += `,"${name}":${JSON.stringify(typeof value === 'object' ? value.raw : value)}`;
    }
    return `${json}}`;
  }
  let text = `${time}\t${level}\taccess\t${message}\t`;
  let separator = '';
  for (const [name, value] of fields) {
    if (isAbsent(value)) continue;
    text += `${separator}${name}=${textValue(value)}`;
    separator = ' ';
  }
  return text;
}

function isAbsent(value: FieldValue): value is undefined | '' {
  return value === undefined || value === '';
}

function textValue(value: string | number | Raw): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? quoted(value) : `${value.quotes}${value.raw}${value.quotes}`;
}

/** Names repeat from line to line; errors and times do not, so the memory is emptied now and then. */
const quotedTexts = new Map<string, string>();

function quoted(text: string): string {
  const known = quotedTexts.get(text);
  if (known !== undefined) return known;
  const value = JSON.stringify(text);
  if (quotedTexts.size >= 4096) quotedTexts.clear();
  if (text.length <= 256) quotedTexts.set(text, value);
  return value;
}
