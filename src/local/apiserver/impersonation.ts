/** Acting as somebody else (`Impersonate-User` and its kin), as far as the caller's roles allow. */
import type { IncomingMessage } from 'node:http';
import type { RbacAuthorizer } from './rbac/authorizer.ts';
import { badRequest } from './status-error.ts';
import { authenticatedGroup, type User } from './user.ts';

const extraHeader = 'impersonate-extra-';

/** The user as whom the request counts: the caller, when it asks for nobody else. Throws 400 and 403. */
export function impersonate(authorizer: RbacAuthorizer, user: User, request: IncomingMessage): User {
  const { headersDistinct: headers } = request;
  const [wanted] = headers['impersonate-user'] ?? [];
  const groups = headers['impersonate-group'] ?? [];
  const [uid] = headers['impersonate-uid'] ?? [];
  const extra = Object.entries(headers).flatMap(([name, values]): [string, string[]][] =>
    name.startsWith(extraHeader) ? [[decodeURIComponent(name.slice(extraHeader.length)), values ?? []]] : [],
  );
  if (wanted === undefined || wanted === '') {
    if (groups.length + extra.length === 0 && uid === undefined) return user;
    throw badRequest('requested impersonation of groups, a uid or extra values without impersonating a user');
  }
  const ask = (
    resource: string,
    name: string,
    rest: { group?: string; namespace?: string; subresource?: string } = {},
  ) =>
    authorizer.authorize(user, {
      verb: 'impersonate',
      group: '',
      resource,
      subresource: '',
      namespace: '',
      name,
      ...rest,
    });

  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(wanted) ?? [];
  if (namespace !== undefined && account !== undefined) ask('serviceaccounts', account, { namespace });
  else ask('users', wanted);
  for (const group of groups) ask('groups', group);
  const authentication = { group: 'authentication.k8s.io' };
  if (uid !== undefined) ask('uids', uid, authentication);
  for (const [key, values] of extra) {
    for (const value of values) ask('userextras', value, { ...authentication, subresource: key });
  }
  const own = namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  return {
    username: wanted,
    ...(uid !== undefined && { uid }),
    groups: [...new Set([...(groups.length > 0 ? groups : own), authenticatedGroup])],
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}
