/** Who may do what: one table, denying by default. */
import { forbidden, type StatusError } from './status-error.ts';
import { controllersUser, mastersGroup, nodeNameOf, serviceAccountUsername, type User } from './user.ts';

export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection'
  | 'impersonate';

export interface ResourceAttributes {
  readonly verb: Verb;
  readonly group: string;
  /** Plural. */
  readonly resource: string;
  readonly subresource: string;
  /** "" at the cluster scope and for all namespaces. */
  readonly namespace: string;
  /** "" for a collection; the body's name for a create. */
  readonly name: string;
}

/** Absent or `*` in a list means any. A subresource is written `pods/status`. */
interface Rule {
  readonly verbs: readonly (Verb | '*')[];
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  readonly namespaces?: readonly string[];
  readonly names?: readonly string[];
}

const read: readonly Verb[] = ['get', 'list', 'watch'];
const write: readonly Verb[] = ['create', 'update', 'patch', 'delete'];
const meshGroups = [
  'security.istio.io',
  'networking.istio.io',
  'telemetry.istio.io',
  'extensions.istio.io',
  'gateway.networking.k8s.io',
  'policy.ambit.dev',
];
const events: Rule = { verbs: ['create', 'patch', 'update'], groups: ['', 'events.k8s.io'], resources: ['events'] };

const anyone: readonly Rule[] = [
  { verbs: ['create'], groups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'] },
  { verbs: ['create'], groups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
];

const istiod: readonly Rule[] = [
  { verbs: read, groups: meshGroups, resources: ['*'] },
  { verbs: ['update', 'patch'], groups: meshGroups, resources: ['*/status'] },
  {
    verbs: read,
    groups: [''],
    resources: ['pods', 'nodes', 'namespaces', 'services', 'endpoints', 'serviceaccounts', 'configmaps'],
  },
  { verbs: read, groups: ['apps', 'discovery.k8s.io'], resources: ['deployments', 'replicasets', 'endpointslices'] },
  { verbs: ['update', 'patch'], groups: [''], resources: ['services/status'] },
  { verbs: ['create'], groups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
  { verbs: ['create'], groups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'] },
  { verbs: write, groups: [''], resources: ['configmaps'], names: ['istio-ca-root-cert'] },
  { verbs: ['*'], groups: [''], resources: ['secrets', 'configmaps'], namespaces: ['istio-system'] },
  events,
];

const nodeAgent: readonly Rule[] = [
  { verbs: read, groups: [''], resources: ['pods', 'namespaces', 'nodes'] },
  { verbs: ['patch'], groups: [''], resources: ['pods/status', 'pods'] },
  events,
];

/** What nodes may do before NodeRestriction (node-restriction.ts) narrows it to their own. */
const node: readonly Rule[] = [
  {
    verbs: read,
    groups: [''],
    resources: ['pods', 'nodes', 'services', 'configmaps', 'namespaces', 'serviceaccounts', 'endpoints'],
  },
  { verbs: ['get'], groups: [''], resources: ['secrets'] },
  { verbs: read, groups: ['discovery.k8s.io'], resources: ['endpointslices'] },
  { verbs: ['create', 'delete'], groups: [''], resources: ['pods'] },
  { verbs: ['update', 'patch'], groups: [''], resources: ['pods/status', 'nodes/status'] },
  { verbs: ['create', 'update', 'patch', 'delete'], groups: [''], resources: ['nodes'] },
  { verbs: ['create'], groups: [''], resources: ['serviceaccounts/token'] },
  events,
];

const controllers: readonly Rule[] = [
  {
    verbs: ['*'],
    groups: ['', 'apps', 'discovery.k8s.io'],
    resources: ['*', '*/status', '*/scale', '*/binding', '*/finalize'],
  },
  // Cascading deletion and garbage collection reach every kind.
  { verbs: [...read, 'delete', 'deletecollection', 'update', 'patch'], groups: ['*'], resources: ['*'] },
];

const everything: readonly Rule[] = [{ verbs: ['*'], groups: ['*'], resources: ['*', '*/*'] }];

/** Whether the table allows it. */
export function isAllowed(user: User, attributes: ResourceAttributes): boolean {
  return rulesOf(user).some((rule) => matches(rule, attributes));
}

/** Throws 403, worded as Kubernetes words it, when the table does not allow it. */
export function authorize(user: User, attributes: ResourceAttributes): void {
  if (!isAllowed(user, attributes)) throw denied(user, attributes);
}

/** Paths that are no resource: discovery and health for every authenticated user, the rest for admins. */
export function authorizePath(user: User, method: string, path: string): void {
  if (user.groups.includes(mastersGroup)) return;
  const open = /^\/(api|apis|openapi|version|healthz|readyz|livez)(\/|$)/.test(path);
  if (!open || (method !== 'GET' && method !== 'HEAD')) {
    throw forbidden(
      undefined,
      '',
      `User ${JSON.stringify(user.username)} cannot ${method.toLowerCase()} path ${JSON.stringify(path)}`,
    );
  }
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

function rulesOf(user: User): readonly Rule[] {
  if (user.groups.includes(mastersGroup)) return everything;
  if (user.username === controllersUser) return [...anyone, ...controllers];
  if (user.username === serviceAccountUsername('istio-system', 'istiod')) return [...anyone, ...istiod];
  if (user.username === serviceAccountUsername('istio-system', 'istio-cni')) return [...anyone, ...nodeAgent];
  if (nodeNameOf(user) !== undefined && user.groups.includes('system:nodes')) return [...anyone, ...node];
  return anyone;
}

function matches(rule: Rule, attributes: ResourceAttributes): boolean {
  const { verb, group, resource, subresource, namespace, name } = attributes;
  if (!rule.verbs.includes('*') && !rule.verbs.includes(verb)) return false;
  if (!rule.groups.includes('*') && !rule.groups.includes(group)) return false;
  if (rule.namespaces && !rule.namespaces.includes(namespace)) return false;
  if (rule.names && !rule.names.includes(name)) return false;
  const forms = subresource === '' ? [resource, '*'] : [`${resource}/${subresource}`, `*/${subresource}`, '*/*'];
  return rule.resources.some((allowed) => forms.includes(allowed));
}
