/** Who sent a request. */
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { impersonate } from './impersonation.ts';
import type { ReviewContext } from './reviews.ts';
import { tokenIssuer } from './service-account-tokens.ts';
import { unauthorized } from './status-error.ts';
import type { User } from './user.ts';

export interface AuthenticationContext extends ReviewContext {
  readonly log: Log;
}

/** Who asks, or whom they ask to act as (`kubectl --as`). Throws 401, and 403 for those who may not impersonate. */
export async function authenticate(context: AuthenticationContext, request: IncomingMessage): Promise<User> {
  return impersonate(context.authorizer, await authenticateToken(context, request), request);
}

/** Bearer tokens only: a static one, or a ServiceAccount's for this server. Throws 401. */
async function authenticateToken(context: AuthenticationContext, request: IncomingMessage): Promise<User> {
  const token = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) throw unauthorized();
  const known = context.staticTokens.find(token);
  if (known) return known;
  try {
    return (await context.serviceAccountTokens.verify(token, [tokenIssuer])).user;
  } catch (error) {
    context.log.debug('Refused a bearer token', { reason: messageOf(error) });
    throw unauthorized();
  }
}
