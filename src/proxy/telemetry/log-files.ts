/** Files that access logs are appended to. */
import { appendFile } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { WriteLines } from './access-logs.ts';

export interface LogFilesOptions {
  readonly standardOutput: WriteLines;
  readonly standardError: WriteLines;
  readonly log: Log;
}

/** Opens by path. A file is opened for each batch, so that it may be moved away; one that cannot be written is said once. */
export function createLogFiles({ standardOutput, standardError, log }: LogFilesOptions): (path: string) => WriteLines {
  return (path) => {
    if (path === '/dev/stdout') return standardOutput;
    if (path === '/dev/stderr') return standardError;
    let isTold = false;
    return (text, done) => {
      appendFile(path, text, (error) => {
        if (error && !isTold) log.warn('cannot write an access log', { path, error: messageOf(error) });
        isTold = error !== null;
        done();
      });
    };
  };
}
