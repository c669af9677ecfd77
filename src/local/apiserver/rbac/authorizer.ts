/** Who may do what: the roles and bindings in the store, and what Kubernetes grants without any. */
import type { ClusterRole, KubeObject, PolicyRule, RbacSubject, RoleBinding } from '../../../api/index.ts';
import { matchesSelector } from '../../../api/index.ts';
import { denied, type ResourceAttributes } from '../authorization.ts';
import { forbidden } from '../status-error.ts';
import type { ObjectStore } from '../store.ts';
import { mastersGroup, nodeNameOf, nodesGroup, serviceAccountUsername, type User } from '../user.ts';
import { nodeRules } from './node-rules.ts';
import { allowsPath, allowsResource } from './rules.ts';

const rbacGroup = 'rbac.authorization.k8s.io';
export const storedRoles: string = `roles.${rbacGroup}`;
export const storedClusterRoles: string = `clusterroles.${rbacGroup}`;
const storedRoleBindings = `rolebindings.${rbacGroup}`;
const storedClusterRoleBindings = `clusterrolebindings.${rbacGroup}`;

const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

interface Binding {
  /** "" for the whole cluster. */
  readonly namespace: string;
  readonly roleRef: RoleBinding['roleRef'];
}

export class RbacAuthorizer {
  readonly #store: ObjectStore;
  /** By subject; undefined after a change, until somebody asks. */
  #bindings: ReadonlyMap<string, readonly Binding[]> | undefined;

  /** Watches the store for as long as it lives. */
  constructor(store: ObjectStore) {
    this.#store = store;
    for (const resource of [storedRoleBindings, storedClusterRoleBindings]) {
      store.watch(resource, store.revision, () => (this.#bindings = undefined));
    }
  }

  isAllowed(user: User, attributes: ResourceAttributes): boolean {
    return this.rulesOf(user, attributes.namespace).some((rule) => allowsResource(rule, attributes));
  }

  /** Throws 403, worded as Kubernetes words it. */
  authorize(user: User, attributes: ResourceAttributes): void {
    if (!this.isAllowed(user, attributes)) throw denied(user, attributes);
  }

  isPathAllowed(user: User, verb: string, path: string): boolean {
    return this.rulesOf(user, '').some((rule) => allowsPath(rule, verb, path));
  }

  /** Throws 403. The verb of a path is its method in lower case. */
  authorizePath(user: User, method: string, path: string): void {
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    if (this.isPathAllowed(user, verb, path)) return;
    throw forbidden(undefined, '', `User ${JSON.stringify(user.username)} cannot ${verb} path ${JSON.stringify(path)}`);
  }

  /** Everything that the user may do in the namespace ("": at the cluster scope alone). */
  rulesOf(user: User, namespace: string): readonly PolicyRule[] {
    if (user.groups.includes(mastersGroup)) return everything;
    const rules: PolicyRule[] = [];
    if (nodeNameOf(user) !== undefined && user.groups.includes(nodesGroup)) rules.push(...nodeRules);
    const bindings = (this.#bindings ??= this.#readBindings());
    const subjects = [userKey(user.username), ...user.groups.map(groupKey)];
    for (const subject of subjects) {
      for (const binding of bindings.get(subject) ?? []) {
        if (binding.namespace === '' || binding.namespace === namespace) rules.push(...this.#rulesOfRole(binding));
      }
    }
    return rules;
  }

  /** What a binding of that namespace to that role would grant. */
  rulesOfReference(roleRef: RoleBinding['roleRef'], namespace: string): readonly PolicyRule[] | undefined {
    const stored =
      roleRef.kind === 'Role'
        ? this.#store.get(storedRoles, namespace, roleRef.name)
        : this.#store.get(storedClusterRoles, '', roleRef.name);
    return stored && rulesIn(stored.object);
  }

  /** The union of the rules of the ClusterRoles that an aggregated one selects. */
  aggregatedRules({ aggregationRule, metadata }: ClusterRole): PolicyRule[] {
    const selectors = aggregationRule?.clusterRoleSelectors ?? [];
    return this.#store
      .list(storedClusterRoles)
      .map(({ object }) => object as ClusterRole)
      .filter((role) => role.metadata.name !== metadata.name)
      .filter((role) => selectors.some((selector) => matchesSelector(role.metadata.labels, selector)))
      .flatMap((role) => [...rulesIn(role)]);
  }

  #rulesOfRole({ roleRef, namespace }: Binding): readonly PolicyRule[] {
    // A binding to a role that is not there grants nothing.
    return this.rulesOfReference(roleRef, namespace) ?? [];
  }

  #readBindings(): Map<string, Binding[]> {
    const bySubject = new Map<string, Binding[]>();
    for (const resource of [storedClusterRoleBindings, storedRoleBindings]) {
      for (const { object } of this.#store.list(resource)) {
        const { metadata, roleRef, subjects } = object as RoleBinding;
        const namespace = metadata.namespace ?? '';
        for (const subject of subjects ?? []) {
          const key = subjectKey(subject, namespace);
          const known = bySubject.get(key);
          if (known) known.push({ namespace, roleRef });
          else bySubject.set(key, [{ namespace, roleRef }]);
        }
      }
    }
    return bySubject;
  }
}

function rulesIn(object: KubeObject): readonly PolicyRule[] {
  return (object as ClusterRole).rules ?? [];
}

function subjectKey({ kind, name, namespace }: RbacSubject, bindingNamespace: string): string {
  switch (kind) {
    case 'User':
      return userKey(name);
    case 'Group':
      return groupKey(name);
    case 'ServiceAccount':
      return userKey(serviceAccountUsername(namespace ?? bindingNamespace, name));
  }
}

function userKey(name: string): string {
  return `user ${name}`;
}

function groupKey(name: string): string {
  return `group ${name}`;
}
