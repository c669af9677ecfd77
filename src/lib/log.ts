/** Process logs: constant message, fields for data, one JSON line each. Access logs have a writer of their own. */
import { pino, type Logger } from 'pino';

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

/** Opens the log of a process. Keys: level, time (ISO 8601), scope, message, then the fields. */
export function openLog(options: LogOptions): Log {
  const base = pino(
    {
      level: options.level ?? 'info',
      messageKey: 'message',
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: options.write ?? ((line: string): void => void process.stderr.write(line)) },
  );
  return wrap(base, options.scope, {});
}

/** A log that writes nothing. */
export function silentLog(): Log {
  const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  return log;
}

/** Children start from `base` again: pino would write `scope` twice. */
function wrap(base: Logger, scope: string, bound: LogFields): Log {
  // A child of a child would say its scope twice: every child is one of the base.
  const logger = base.child({ scope, ...bound });
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (name, fields) => wrap(base, `${scope}.${name}`, { ...bound, ...fields }),
  };
}
