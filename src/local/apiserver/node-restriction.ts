/** NodeRestriction: a node's own account touches its own Node, the pods bound to it, and what those pods use. */
import type { KubeObject } from '../../api/index.ts';
import type { ApiObject } from './object-fields.ts';
import { forbidden, type ResourceName } from './status-error.ts';
import { nodeNameOf, type User } from './user.ts';

export interface RestrictedWrite {
  readonly user: User;
  readonly resource: ResourceName;
  readonly name: string;
  readonly before?: ApiObject;
  readonly after?: ApiObject;
}

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Throws 403 when a node writes a pod or Node that is not its own. Other users and kinds pass. */
export function restrictNodeWrite(write: RestrictedWrite): void {
  const node = nodeNameOf(write.user);
  const { resource, name, before, after } = write;
  if (node === undefined || resource.group !== '') return;
  const refuse = (why: string): never => {
    throw forbidden(resource, name, `node ${JSON.stringify(node)} ${why}`);
  };
  if (resource.plural === 'nodes' && name !== node) refuse('is not allowed to modify other nodes');
  if (resource.plural !== 'pods') return;
  if (before && before.spec?.['nodeName'] !== node) refuse('can only change pods with spec.nodeName set to itself');
  if (before || !after) return;
  if (after.metadata.annotations?.[mirrorAnnotation] === undefined) refuse('can only create mirror pods');
  if (after.spec?.['nodeName'] !== node) refuse('can only create pods with spec.nodeName set to itself');
}

/** Whether `node` runs a pod of the namespace that mounts or reads the Secret. */
export function nodeUsesSecret(node: string, secretName: string, podsOfNamespace: readonly KubeObject[]): boolean {
  return podsOfNamespace.some((pod) => {
    const { spec } = pod as ApiObject;
    return spec?.['nodeName'] === node && mentionsSecret(spec, secretName);
  });
}

/** Every reference to a Secret in a pod spec is one of these fields. */
function mentionsSecret(value: unknown, name: string): boolean {
  if (Array.isArray(value)) return value.some((item) => mentionsSecret(item, name));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]: [string, unknown]) => {
    if (typeof item !== 'object' || item === null) return false;
    const names = [readName(item, 'name'), key === 'secret' ? readName(item, 'secretName') : undefined];
    if (['secret', 'secretRef', 'secretKeyRef'].includes(key) && names.includes(name)) return true;
    if (
      key === 'imagePullSecrets' &&
      Array.isArray(item) &&
      item.some((entry: unknown) => readName(entry, 'name') === name)
    )
      return true;
    return mentionsSecret(item, name);
  });
}

function readName(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;
}
