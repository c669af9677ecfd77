/** Errors of the HTTP/2 layer: a closed list of codes, each with its wire number. */
import { AmbitError, type Blame } from '../../lib/errors.ts';
import { errorCode } from './constants.ts';

const names: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(errorCode).map(([name, code]) => [
    code,
    `h2.${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  ]),
);

export type Http2ErrorScope = 'stream' | 'connection';

export interface Http2ErrorOptions {
  /** The wire number (RFC 9113 section 7); also gives `code`: `h2.protocol-error`, `h2.refused-stream`, ... */
  readonly wireCode: number;
  readonly scope: Http2ErrorScope;
  readonly blame: Blame;
  /** Whether the peer sent it. */
  readonly remote?: boolean;
  readonly cause?: unknown;
}

/** A stream or a connection ended by an error, ours or the peer's. */
export class Http2Error extends AmbitError {
  readonly wireCode: number;
  readonly scope: Http2ErrorScope;
  readonly remote: boolean;

  constructor(message: string, options: Http2ErrorOptions) {
    super(message, {
      code: names[options.wireCode] ?? 'h2.unknown-error',
      blame: options.blame,
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    });
    this.wireCode = options.wireCode;
    this.scope = options.scope;
    this.remote = options.remote ?? false;
  }
}

/** The peer broke the protocol in a way that ends the connection. */
export function connectionError(wireCode: number, message: string): Http2Error {
  return new Http2Error(message, { wireCode, scope: 'connection', blame: 'downstream' });
}

/** What streams fail with when their connection is over; without `cause` in order. */
export function closedError(cause?: Error): Http2Error {
  return new Http2Error(cause ? `Connection is closed: ${cause.message}` : 'Connection is closed', {
    wireCode: errorCode.cancel,
    scope: 'connection',
    blame: 'upstream',
    cause,
  });
}

/** The name of a wire code for messages and logs: `refusedStream` or `0x42`. */
export function errorCodeName(wireCode: number): string {
  return names[wireCode]?.slice(3) ?? `0x${wireCode.toString(16)}`;
}
