/** Who sent a request. */
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { denied } from './authorization.ts';
import type { ReviewContext } from './reviews.ts';
import { tokenIssuer } from './service-account-tokens.ts';
import { unauthorized } from './status-error.ts';
import { authenticatedGroup, mastersGroup, type User } from './user.ts';

export interface AuthenticationContext extends ReviewContext {
  readonly log: Log;
}

/** Who asks, or whom an admin asks to act as (`kubectl --as`). Throws 401, and 403 for others who impersonate. */
export async function authenticate(context: AuthenticationContext, request: IncomingMessage): Promise<User> {
  const user = await authenticateToken(context, request);
  const wanted = request.headers['impersonate-user'];
  const groups = request.headersDistinct['impersonate-group'] ?? [];
  if (wanted === undefined && groups.length === 0) return user;
  if (typeof wanted !== 'string' || wanted === '' || !user.groups.includes(mastersGroup)) {
    throw denied(user, {
      verb: 'impersonate',
      group: '',
      resource: 'users',
      subresource: '',
      namespace: '',
      name: String(wanted),
    });
  }
  return { username: wanted, groups: [...groups, authenticatedGroup] };
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
