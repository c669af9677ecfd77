/** Why an exchange over HTTP/2 ended early, in the terms of `message.ts`. */
import { ExchangeError } from '../message.ts';
import { errorCode } from './constants.ts';
import { Http2Error } from './errors.ts';

/** `local`: what we gave up with ourselves, if we did. */
export function exchangeError(error: Error, local: boolean): ExchangeError {
  if (error instanceof ExchangeError) return error;
  const { message } = error;
  if (local || !(error instanceof Http2Error)) {
    return new ExchangeError('local-reset', message, { sent: 'maybe', cause: error });
  }
  if (error.scope === 'stream') {
    if (!error.remote) return new ExchangeError('protocol-error', message, { sent: 'maybe', cause: error });
    return error.wireCode === errorCode.refusedStream
      ? new ExchangeError('refused', message, { sent: 'no', cause: error })
      : new ExchangeError('remote-reset', message, { sent: 'maybe', cause: error });
  }
  const reason = endsInOrder(error.wireCode) ? 'connection-termination' : 'protocol-error';
  return new ExchangeError(reason, message, { sent: 'maybe', cause: error });
}

/** The connection ended, or its peer fell silent: nothing that it sent was wrong. */
function endsInOrder(wireCode: number): boolean {
  return wireCode === errorCode.cancel || wireCode === errorCode.noError || wireCode === errorCode.settingsTimeout;
}
