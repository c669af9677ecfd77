/** Which identity a caller gets a certificate for (ambient-l4, 11): its own, or one of a pod on its own node. Pure. */
import type { Pod } from '../api/core.ts';
import { spiffeId, type SpiffeId } from '../api/names.ts';
import { spiffeParts } from '../identity/index.ts';
import type { Caller } from './caller.ts';

/** The pods of the caller's cluster, as fresh as the watch. */
export interface PodLookup {
  get(namespace: string, name: string): Pod | undefined;
  onNode(node: string): Iterable<Pod>;
}

export interface IdentityRequest {
  readonly caller: Caller;
  /** The identity asked for; absent: the caller's own. */
  readonly impersonated: SpiffeId | undefined;
  readonly trustDomain: string;
  /** `<namespace>/<service account>` of node proxies. */
  readonly trustedAccounts: ReadonlySet<string>;
  readonly pods: PodLookup;
}

export type IdentityVerdict =
  | { readonly kind: 'allow'; readonly identity: SpiffeId }
  /**
   * `behind`: the watch may only not know yet: of a pod of the identity; or of the caller itself, and then it may know as little
   * of all others on its node.
   */
  | { readonly kind: 'refuse'; readonly reason: string; readonly behind?: 'identity' | 'caller' };

export function authorizeIdentity(request: IdentityRequest): IdentityVerdict {
  const { caller, impersonated, trustDomain, trustedAccounts, pods } = request;
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  const own = spiffeId(trustDomain, caller.namespace, caller.serviceAccount);
  // Who names itself acts for nobody else.
  if (impersonated === undefined || impersonated === own) return { kind: 'allow', identity: own };
  if (!trustedAccounts.has(account)) return refuse(`service account "${account}" may not act for others`);

  const wanted = spiffeParts(impersonated);
  if (wanted.trustDomain !== trustDomain) {
    return refuse(`trust domain "${wanted.trustDomain}" is not this mesh's "${trustDomain}"`);
  }
  if (!caller.pod) return refuse('the token is not bound to a pod');
  const callerPod = pods.get(caller.namespace, caller.pod.name);
  if (!callerPod) return refuse(`the caller's pod "${caller.namespace}/${caller.pod.name}" is not known`, 'caller');
  if (callerPod.metadata.uid !== caller.pod.uid) {
    return refuse(`the caller's pod "${caller.namespace}/${caller.pod.name}" is not the one of the token`, 'caller');
  }
  if (accountOf(callerPod) !== caller.serviceAccount || hasEnded(callerPod)) {
    return refuse(`the caller's pod "${caller.namespace}/${caller.pod.name}" does not run as "${account}"`);
  }
  const node = callerPod.spec.nodeName;
  if (!node) return refuse(`the caller's pod "${caller.namespace}/${caller.pod.name}" is on no node`, 'caller');
  for (const pod of pods.onNode(node)) {
    const sameAccount = pod.metadata.namespace === wanted.namespace && accountOf(pod) === wanted.serviceAccount;
    if (sameAccount && !hasEnded(pod)) return { kind: 'allow', identity: impersonated };
  }
  return refuse(`no pod of "${wanted.namespace}/${wanted.serviceAccount}" runs on node "${node}"`, 'identity');
}

function refuse(reason: string, behind?: 'identity' | 'caller'): IdentityVerdict {
  return { kind: 'refuse', reason, ...(behind ? { behind } : {}) };
}

function accountOf(pod: Pod): string {
  return pod.spec.serviceAccountName || 'default';
}

function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
}
