/** Process logs: constant message, fields for data, one JSON line each. Access logs have a writer of their own. */

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines carry `scope` and `fields` too. */
  child(scope: string, fields?: LogFields): Log;
}

export interface LogOptions {
  readonly scope: string;
  readonly level?: LogLevel;
  /** Defaults to standard error. */
  readonly write?: (line: string) => void;
}

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** Opens the log of a process. Keys: level, time (ISO 8601), scope, the fields, message. */
export function openLog(options: LogOptions): Log {
  const { scope, level = 'info', write = (line: string): void => void process.stderr.write(line) } = options;
  return wrap({ threshold: order[level], write }, scope, {});
}

/** A log that writes nothing. */
export function silentLog(): Log {
  const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  return log;
}

function wrap(target: { threshold: number; write: (line: string) => void }, scope: string, bound: LogFields): Log {
  const say = (level: LogLevel, message: string, fields?: LogFields): void => {
    if (order[level] < target.threshold) return;
    const head = { level, time: new Date().toISOString(), scope };
    target.write(`${textOf({ ...head, ...bound, ...fields, message }, { ...head, message })}\n`);
  };
  return {
    debug: (message, fields) => say('debug', message, fields),
    info: (message, fields) => say('info', message, fields),
    warn: (message, fields) => say('warn', message, fields),
    error: (message, fields) => say('error', message, fields),
    child: (name, fields) => wrap(target, `${scope}.${name}`, { ...bound, ...fields }),
  };
}

/** A line is written whatever its fields are: without them where JSON cannot say them. */
function textOf(line: LogFields, bare: LogFields): string {
  try {
    return JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  } catch (error) {
    return JSON.stringify({ ...bare, unwritable: String(error) });
  }
}
