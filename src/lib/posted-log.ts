/** The log of a worker thread: every line is told to the main thread, which writes it. */
import type { Log, LogFields } from './log.ts';

/** A line as a message. */
export interface PostedLine {
  readonly kind: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Below the log of all workers; empty: that one itself. */
  readonly scope: string;
  readonly message: string;
  readonly fields: LogFields;
}

export function createPostingLog(post: (line: PostedLine) => void, scope = '', bound: LogFields = {}): Log {
  const write = (level: PostedLine['level'], message: string, fields: LogFields | undefined): void =>
    post({ kind: 'log', level, scope, message, fields: plain({ ...bound, ...fields }) });
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    child: (name, fields) => createPostingLog(post, scope === '' ? name : `${scope}.${name}`, { ...bound, ...fields }),
  };
}

/** What JSON can say of them, so that nothing in them keeps a message from being sent. */
function plain(fields: LogFields): LogFields {
  try {
    const text = JSON.stringify(fields, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    return JSON.parse(text) as LogFields;
  } catch (error) {
    return { unwritable: String(error) };
  }
}

/** Writes a line that was posted, below the log of all workers. */
export function writePosted(log: Log, { level, scope, message, fields }: PostedLine, more: LogFields): void {
  (scope === '' ? log : log.child(scope))[level](message, { ...fields, ...more });
}
