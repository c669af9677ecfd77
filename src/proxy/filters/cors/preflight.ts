/** The question that browsers ask before a cross-origin request. */
import type { RequestHead } from '../../../http/message.ts';

/** The method that a preflight asks for; undefined: the request is none. */
export function requestedMethod({ method, headers }: RequestHead): string | undefined {
  if (method !== 'OPTIONS' || !headers.has('origin')) return undefined;
  const requested = headers.get('access-control-request-method');
  return requested === '' ? undefined : requested;
}
