/** What may go wrong on the way to a tunnel: closed codes `hbone.*`. */
import { AmbitError, messageOf } from '../lib/errors.ts';

/** A response header that says why a CONNECT was refused; ours, so absent from other peers. */
export const reasonHeader = 'x-ambit-reason';

/** `hbone.refused`: the peer answered CONNECT with a status other than 2xx. */
export class HboneRefusedError extends AmbitError {
  readonly status: number;
  /** The peer's `x-ambit-reason`, at most 200 characters. */
  readonly reason: string | undefined;

  constructor(status: number, reason: string | undefined) {
    super(`Cannot open tunnel: http status: ${status}${reason === undefined ? '' : ` (${reason})`}`, {
      code: 'hbone.refused',
      blame: 'upstream',
    });
    this.status = status;
    this.reason = reason;
  }
}

/** `hbone.dial-failed`: no connection to the peer, or it was no usable HTTP/2 peer. `cause` is what happened. */
export function dialFailed(cause: unknown): AmbitError {
  return new AmbitError(`Cannot open tunnel: ${messageOf(cause)}`, {
    code: 'hbone.dial-failed',
    blame: 'upstream',
    cause,
  });
}

/** `hbone.dial-timeout`: connect, handshake and SETTINGS took too long. */
export function dialTimeout(timeoutMs: number): AmbitError {
  return new AmbitError(
    `Cannot open tunnel: no usable connection within ${timeoutMs} ms (a NetworkPolicy may block port 15008)`,
    { code: 'hbone.dial-timeout', blame: 'upstream' },
  );
}

/** `hbone.closed`: the pool, or the connection, ended under the request. */
export function hboneClosed(problem: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot open tunnel: ${problem}`, { code: 'hbone.closed', blame: 'internal', cause });
}

/** `hbone.reset`: a tunnel was reset by its peer or lost its connection. */
export function tunnelReset(cause: Error): AmbitError {
  return new AmbitError(`Tunnel was reset: ${cause.message}`, { code: 'hbone.reset', blame: 'upstream', cause });
}

/** `hbone.aborted`: the caller gave up. */
export function hboneAborted(cause: unknown): AmbitError {
  return new AmbitError('Cannot open tunnel: the caller gave up', {
    code: 'hbone.aborted',
    blame: 'downstream',
    cause,
  });
}
