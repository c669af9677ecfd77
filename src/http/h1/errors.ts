/** Errors of the HTTP/1.1 layer: what a peer sent is no message that we accept. */
import { AmbitError } from '../../lib/errors.ts';

const codes = {
  400: 'h1.malformed',
  414: 'h1.target-too-long',
  417: 'h1.unknown-expectation',
  426: 'h1.old-version',
  431: 'h1.head-too-large',
  501: 'h1.unknown-coding',
  505: 'h1.unknown-version',
} as const;

export type RefusalStatus = keyof typeof codes;

/** `status` is what a server answers. */
export class Http1Error extends AmbitError {
  readonly status: RefusalStatus;

  constructor(status: RefusalStatus, message: string) {
    super(message, { code: codes[status], blame: 'downstream' });
    this.name = 'Http1Error';
    this.status = status;
  }
}

export function malformed(message: string): Http1Error {
  return new Http1Error(400, message);
}
