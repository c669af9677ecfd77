/** What logs and metrics say of a request whose client ended it. */
import { ExchangeError } from '../../http/message.ts';
import { messageOf } from '../../lib/errors.ts';
import type { HttpRun } from './http-run.ts';

/** The client gave up, or broke the protocol: then the codec may have answered, where no answer was decided on. */
export function noteClientEnd(run: HttpRun, error: Error, isDecided: boolean): void {
  const isBroken = error instanceof ExchangeError && error.reason === 'protocol-error';
  run.addFlag(isBroken ? 'DPE' : 'DC');
  if (!isDecided) {
    run.responseDetails = isBroken ? 'downstream_protocol_error' : 'downstream_remote_disconnect';
    if (isBroken) run.responseStatus = error.status;
  }
  if (run.reason !== '') return;
  const what = isBroken ? 'the client sent a malformed request' : 'the client gave up';
  run.reason = `${what}: ${messageOf(error)}`;
}
