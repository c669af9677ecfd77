/** The node authorizer: of what nodes may do by their rules, a node reaches only what its own pods need. */
import type { KubeObject } from '../../api/index.ts';
import { denied, type ResourceAttributes } from './authorization.ts';
import { referencesOf, type PodReferences } from './pods/references.ts';
import type { ApiObject } from './object-fields.ts';
import { nodeNameOf, type User } from './user.ts';

export interface NodeAccess {
  readonly user: User;
  readonly attributes: ResourceAttributes;
  /** As the query has it. */
  readonly fieldSelector: string;
  readonly findPod: (namespace: string, name: string) => KubeObject | undefined;
  readonly podsIn: (namespace: string) => readonly KubeObject[];
}

const leaseNamespace = 'kube-node-lease';
const readVerbs = new Set(['get', 'list', 'watch']);

/** Throws 403. Other users pass; so do writes, which NodeRestriction judges. */
export function authorizeNode(access: NodeAccess): void {
  const { user, attributes } = access;
  const node = nodeNameOf(user);
  if (node === undefined) return;
  const why = refusal(access, node);
  if (why !== undefined) throw denied(user, attributes, why);
}

function refusal(access: NodeAccess, node: string): string | undefined {
  const { verb, group, resource, subresource } = access.attributes;
  if (group === 'coordination.k8s.io' && resource === 'leases') return leaseRefusal(access.attributes, node);
  if (group !== '') return undefined;
  if (resource === 'pods') return readVerbs.has(verb) ? podRefusal(access, node) : undefined;
  if (resource === 'serviceaccounts') {
    if (verb === 'list' || verb === 'watch') return 'can only create tokens for individual service accounts';
    if (verb !== 'get' && subresource !== 'token') return undefined;
    return relationRefusal(access, node, ({ account = 'default' }, name) => account === name);
  }
  const field = resource === 'secrets' || resource === 'configmaps' ? resource : undefined;
  if (field === undefined) return undefined;
  return relationRefusal(access, node, (references, name) =>
    (field === 'secrets' ? references.secrets : references.configMaps).has(name),
  );
}

function leaseRefusal({ verb, namespace, name }: ResourceAttributes, node: string): string | undefined {
  if (verb === 'list' || verb === 'watch') return 'can only get, create, update, patch, or delete a node lease';
  if (namespace !== leaseNamespace)
    return `can only access leases in the ${JSON.stringify(leaseNamespace)} system namespace`;
  // The name of what is created is in its body: NodeRestriction sees it.
  if (verb === 'create' || name === node) return undefined;
  return 'can only access node lease with the same name as the requesting node';
}

function podRefusal({ attributes, fieldSelector, findPod }: NodeAccess, node: string): string | undefined {
  if (attributes.verb !== 'get') {
    const isOwn = fieldSelector.split(',').some((term) => /^spec\.nodeName==?(.*)$/.exec(term)?.[1] === node);
    return isOwn ? undefined : 'can only list/watch pods with spec.nodeName field selector';
  }
  const pod = findPod(attributes.namespace, attributes.name) as ApiObject | undefined;
  return pod?.spec?.['nodeName'] === node ? undefined : unrelated(node);
}

function relationRefusal(
  { attributes, podsIn }: NodeAccess,
  node: string,
  refersTo: (references: PodReferences, name: string) => boolean,
): string | undefined {
  const { namespace, name } = attributes;
  if (name === '') return 'No Object name found';
  const isRelated = podsIn(namespace).some((pod) => {
    const { spec } = pod as ApiObject;
    return spec?.['nodeName'] === node && refersTo(referencesOf(spec), name);
  });
  return isRelated ? undefined : unrelated(node);
}

function unrelated(node: string): string {
  return `no relationship found between node '${node}' and this object`;
}
