/** The log of a worker: every line is told to the control part, whose thread writes it. */
import type { Log, LogFields } from '../../lib/log.ts';
import type { LogMessage } from '../worker-messages.ts';

export function createPostingLog(post: (message: LogMessage) => void, scope = '', bound: LogFields = {}): Log {
  const write = (level: LogMessage['level'], message: string, fields: LogFields | undefined): void =>
    // Fields are what JSON can say, so that nothing in them keeps a message from being sent.
    post({ kind: 'log', level, scope, message, fields: JSON.parse(JSON.stringify({ ...bound, ...fields })) });
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    child: (name, fields) => createPostingLog(post, scope === '' ? name : `${scope}.${name}`, { ...bound, ...fields }),
  };
}
