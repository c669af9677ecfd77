/** What a request asks to do, and the refusal of it. Who may do what is decided in `rbac`. */
import { forbidden, type StatusError } from './status-error.ts';
import type { User } from './user.ts';

/** What an HTTP method means on a resource. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

export interface ResourceAttributes {
  /** One of `Verb`, or what a check asks for: `impersonate`, `bind`, `escalate`. */
  readonly verb: string;
  readonly group: string;
  /** Plural. */
  readonly resource: string;
  readonly subresource: string;
  /** "" at the cluster scope and for all namespaces. */
  readonly namespace: string;
  /** "" for a create, and for a collection unless a field selector asks for one name. */
  readonly name: string;
}

/** The 403 for `attributes`. */
export function denied(user: User, attributes: ResourceAttributes, why = ''): StatusError {
  const { verb, group, resource, subresource, namespace, name } = attributes;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return forbidden(
    { group, plural: resource },
    name,
    `User ${JSON.stringify(user.username)} cannot ${verb} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${scope}${why && `: ${why}`}`,
  );
}
