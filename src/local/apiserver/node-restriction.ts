/** The admission plugin NodeRestriction: a node's own account writes its own Node, Lease and pods, and nothing that could raise it. */
import type { KubeObject } from '../../api/index.ts';
import { forbiddenNodeLabels } from './node-labels.ts';
import { jsonEqual, type ApiObject } from './object-fields.ts';
import { isMeshMirror, isMirror } from './pods/mirror.ts';
import { referencesOf } from './pods/references.ts';
import { forbidden, notFound, type ResourceName } from './status-error.ts';
import type { Transaction } from './store.ts';
import { nodeNameOf, type User } from './user.ts';

export interface RestrictedWrite {
  readonly user: User;
  readonly resource: ResourceName;
  readonly name: string;
  readonly before?: ApiObject;
  readonly after?: ApiObject;
}

interface NodeWrite extends RestrictedWrite {
  readonly node: string;
  /** Throws. */
  readonly refuse: (why: string) => never;
}

/** Throws 403 when a node writes what is not its own. Other users and kinds pass. */
export function restrictNodeWrite(tx: Pick<Transaction, 'get'>, write: RestrictedWrite): void {
  const node = nodeNameOf(write.user);
  if (node === undefined) return;
  const { resource, name, before, after } = write;
  const refuse = (why: string): never => {
    throw forbidden(resource, name, why);
  };
  const of = { ...write, node, refuse };
  switch (`${resource.plural}.${resource.group}`) {
    case 'nodes.':
      return restrictNode(of);
    case 'leases.coordination.k8s.io':
      if (name !== node) refuse('can only access node lease with the same name as the requesting node');
      return;
    case 'pods.':
      if (before) return restrictExistingPod(of, before);
      if (after) restrictNewPod(of, after, tx.get('nodes', '', node)?.object);
  }
}

function restrictNode({ node, name, before, after, refuse }: NodeWrite): void {
  const quoted = JSON.stringify(node);
  if (name !== node) refuse(`node ${quoted} is not allowed to modify node ${JSON.stringify(name)}`);
  if (!after) return;
  const labels = forbiddenNodeLabels(before?.metadata.labels ?? {}, after.metadata.labels ?? {}).join(', ');
  if (!before) {
    if (labels !== '') refuse(`node ${quoted} is not allowed to set the following labels: ${labels}`);
    return;
  }
  if (!jsonEqual(before.spec?.['taints'] ?? [], after.spec?.['taints'] ?? []))
    refuse(`node ${quoted} is not allowed to modify taints`);
  if (labels !== '') refuse(`is not allowed to modify labels: ${labels}`);
  if (!jsonEqual(before.metadata.ownerReferences ?? [], after.metadata.ownerReferences ?? []))
    refuse(`node ${quoted} is not allowed to modify ownerReferences`);
}

function restrictExistingPod({ node, after, refuse }: NodeWrite, before: ApiObject): void {
  const quoted = JSON.stringify(node);
  if (before.spec?.['nodeName'] !== node)
    refuse(
      `node ${quoted} can only ${after ? 'update pod status for' : 'delete'} pods with spec.nodeName set to itself`,
    );
  if (after && !jsonEqual(before.metadata.labels ?? {}, after.metadata.labels ?? {}))
    refuse(`node ${quoted} cannot update labels through pod status`);
}

function restrictNewPod(write: NodeWrite, pod: ApiObject, nodeObject: KubeObject | undefined): void {
  const { node, refuse } = write;
  const quoted = JSON.stringify(node);
  if (!isMirror(pod))
    refuse(`pod does not have "kubernetes.io/config.mirror" annotation, node ${quoted} can only create mirror pods`);
  if (pod.spec?.['nodeName'] !== node) refuse(`node ${quoted} can only create pods with spec.nodeName set to itself`);
  restrictOwner(write, pod, nodeObject);
  if (isMeshMirror(pod)) return;
  const { account, secrets, configMaps, claims } = referencesOf(pod.spec ?? {});
  const refuseReference = (what: string): never => refuse(`node ${quoted} can not create pods that reference ${what}`);
  if (account !== undefined) refuseReference('a service account');
  if (secrets.size > 0) refuseReference('secrets');
  if (configMaps.size > 0) refuseReference('configmaps');
  if (claims.size > 0) refuseReference('persistentvolumeclaims');
}

/** Its node owns it, so that it goes with the node. */
function restrictOwner({ node, refuse }: NodeWrite, pod: ApiObject, nodeObject: KubeObject | undefined): void {
  const quoted = JSON.stringify(node);
  const [owner, ...more] = pod.metadata.ownerReferences ?? [];
  if (more.length > 0) refuse(`node ${quoted} can only create pods with a single owner reference set to itself`);
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    return refuse(`node ${quoted} can only create pods with an owner reference set to itself`);
  if (owner.controller !== true)
    refuse(`node ${quoted} can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion === true) refuse(`node ${quoted} must not set blockOwnerDeletion on an owner reference`);
  if (!nodeObject) throw notFound({ group: '', plural: 'nodes' }, node);
  const { uid = '' } = nodeObject.metadata;
  if (owner.uid !== uid) refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${uid}`);
}

export interface NodeTokenRequest {
  readonly user: User;
  /** The pod that the token is to be bound to, and the uid that the node says it has; absent: it names none. */
  readonly bound: { readonly pod: ApiObject; readonly uid: unknown } | undefined;
  readonly audiences: readonly unknown[];
  /** Throws. */
  readonly refuse: (why: string) => never;
}

/** A node gets tokens bound to pods that it runs, for the audiences that their volumes name. Other users pass. */
export function restrictNodeToken({ user, bound, audiences, refuse }: NodeTokenRequest): void {
  const node = nodeNameOf(user);
  if (node === undefined) return;
  if (!bound) return refuse('node requested token not bound to a pod');
  if (typeof bound.uid !== 'string' || bound.uid === '')
    refuse('node requested token with a pod binding without a uid');
  if (bound.pod.spec?.['nodeName'] !== node)
    refuse('node requested token bound to a pod scheduled on a different node');
  if (audiences.length > 1) refuse('node may only request 0 or 1 audiences');
  const { 0: audience = '' } = audiences;
  if (typeof audience === 'string' && referencesOf(bound.pod.spec ?? {}).tokens.includes(audience)) return;
  refuse(
    `audience ${JSON.stringify(audience)} not found in pod spec volume, ${user.username} is not authorized to request tokens for this audience`,
  );
}
