/** Nobody grants what they do not have: writes of roles and bindings, judged by what the writer may do. */
import type { ClusterRole, KindInfo, PolicyRule, RoleBinding } from '../../../api/index.ts';
import type { ApiObject } from '../object-fields.ts';
import { forbidden } from '../status-error.ts';
import type { User } from '../user.ts';
import type { RbacAuthorizer } from './authorizer.ts';
import { covers } from './rules.ts';

const group = 'rbac.authorization.k8s.io';

/**
 * Throws 403 when the object, as it would be stored, grants more than its writer has. Verb `escalate` on roles and `bind`
 * on the role that a binding names lift it. Objects of other groups pass.
 */
export function refuseEscalation(
  authorizer: RbacAuthorizer,
  write: { readonly user: User; readonly kind: KindInfo; readonly object: ApiObject; readonly before?: ApiObject },
): void {
  const { user, kind, object, before } = write;
  if (kind.group !== group) return;
  const { namespace = '', name = '' } = object.metadata;
  if (kind.kind === 'Role' || kind.kind === 'ClusterRole') {
    const rules = newRules(object as unknown as ClusterRole, before as unknown as ClusterRole | undefined);
    if (rules.length === 0 || mayOn(authorizer, user, { verb: 'escalate', resource: kind.plural, namespace, name }))
      return;
    return refuse(authorizer, { user, kind, name, namespace, rules });
  }
  const { roleRef, subjects } = object as unknown as RoleBinding;
  const old = before as unknown as RoleBinding | undefined;
  if (old && JSON.stringify(old.subjects) === JSON.stringify(subjects)) return;
  const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
  if (mayOn(authorizer, user, { verb: 'bind', resource, namespace, name: roleRef.name })) return;
  const rules = authorizer.rulesOfReference(roleRef, namespace);
  if (!rules) {
    // Whoever could make the role later would decide what this grants.
    throw forbidden({ group, plural: resource }, roleRef.name, `role ${JSON.stringify(roleRef.name)} not found`);
  }
  refuse(authorizer, { user, kind, name, namespace, rules });
}

function newRules(role: ClusterRole, before: ClusterRole | undefined): readonly PolicyRule[] {
  const known = new Set((before?.rules ?? []).map((rule) => JSON.stringify(rule)));
  const rules = (role.rules ?? []).filter((rule) => !known.has(JSON.stringify(rule)));
  const aggregates =
    role.aggregationRule !== undefined &&
    JSON.stringify(role.aggregationRule) !== JSON.stringify(before?.aggregationRule);
  // What an aggregation will select cannot be known: only who may do everything may ask for it.
  return aggregates ? [...rules, { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] : rules;
}

function mayOn(
  authorizer: RbacAuthorizer,
  user: User,
  asked: {
    readonly verb: 'escalate' | 'bind';
    readonly resource: string;
    readonly namespace: string;
    readonly name: string;
  },
): boolean {
  return authorizer.isAllowed(user, { ...asked, group, subresource: '' });
}

function refuse(
  authorizer: RbacAuthorizer,
  grant: {
    readonly user: User;
    readonly kind: KindInfo;
    readonly name: string;
    readonly namespace: string;
    readonly rules: readonly PolicyRule[];
  },
): void {
  const { user, kind, name, namespace, rules } = grant;
  const owned = authorizer.rulesOf(user, namespace);
  const missing = rules.filter((rule) => !covers(owned, rule));
  if (missing.length === 0) return;
  const list = missing.map((rule) => JSON.stringify(rule)).join('\n');
  throw forbidden(
    kind,
    name,
    `user ${JSON.stringify(user.username)} (groups=${JSON.stringify(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${list}`,
  );
}
