/** How failures are told: to metrics as a flag, to peers as a reason. */
import { codeOf } from '../../lib/errors.ts';
import type { ResponseFlags } from './traffic.ts';

/** The response flag of what ended a connection. */
export function flagsOf(error: unknown): ResponseFlags {
  const code = causeCode(error);
  if (code === 'policy.denied') return 'DENY';
  if (code === 'identity.unavailable') return 'IDENTITY_ERROR';
  if (code === 'hbone.dial-timeout' || code === 'net.connect-timeout') return 'CONNECT';
  if (code.startsWith('identity.')) return 'TLS_FAILURE';
  if (code.startsWith('http2.') || code.startsWith('h2.')) return 'H2_HANDSHAKE_FAILURE';
  return 'CONNECT';
}

/** The pool wraps what its dial threw: the innermost code says what really happened. */
function causeCode(error: unknown): string {
  let code = codeOf(error) ?? '';
  let current: unknown = error;
  for (let depth = 0; depth < 4 && current instanceof Error; depth++) {
    const inner = codeOf(current);
    if (inner?.includes('.')) code = inner;
    current = current.cause;
  }
  return code;
}
