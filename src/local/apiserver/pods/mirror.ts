/** Mirror pods: the API's copies of pods that a node runs by itself. */
import { systemNamespace } from '../../../api/index.ts';
import type { ApiObject } from '../object-fields.ts';
import { referencesOf } from './references.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';
const meshAccounts = new Set(['istio-cni', 'ztunnel']);
const meshConfigMaps = new Set(['istio-ca-root-cert', 'istio-ca-crl']);

export function isMirror(pod: ApiObject): boolean {
  return pod.metadata.annotations?.[mirrorAnnotation] !== undefined;
}

/**
 * Whether it is one of the mesh's own, of the system namespace. Their accounts and the trust bundle are all that they may
 * refer to; mirror pods of a Kubernetes server may refer to nothing, and there these are DaemonSets.
 */
export function isMeshMirror(pod: ApiObject): boolean {
  if (!isMirror(pod) || pod.metadata.namespace !== systemNamespace) return false;
  const { account, secrets, configMaps, claims } = referencesOf(pod.spec ?? {});
  if (account === undefined || !meshAccounts.has(account) || secrets.size > 0 || claims.size > 0) return false;
  return [...configMaps].every((name) => meshConfigMaps.has(name));
}
