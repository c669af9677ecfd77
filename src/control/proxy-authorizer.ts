/** Whose proxy a caller is: that of the Gateway which its pod is labelled with, if it runs as that Gateway's account. Pure. */
import type { Pod } from '../api/core.ts';
import type { Caller } from './caller.ts';

export interface ProxyRequest {
  readonly caller: Caller;
  /** The caller's pod as the watch has it. */
  readonly pod: Pod | undefined;
  /** Account that the proxies of a Gateway run as; undefined: there is no such Gateway of ours. */
  readonly accountOf: (namespace: string, gateway: string) => string | undefined;
}

export type ProxyVerdict =
  | { readonly kind: 'proxy'; /** `<namespace>/<name>` */ readonly gateway: string }
  /** `transient`: the watch may only be behind. */
  | { readonly kind: 'refuse'; readonly reason: string; readonly transient: boolean };

const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';

/** A label alone proves nothing: the account does, and who may run pods as a gateway's account is that gateway. */
export function authorizeProxy({ caller, pod, accountOf }: ProxyRequest): ProxyVerdict {
  const { namespace, serviceAccount } = caller;
  const account = `${namespace}/${serviceAccount}`;
  if (!caller.pod) {
    return refuse(`service account "${account}" may not read the mesh's workloads: its token is bound to no pod`);
  }
  const name = `${namespace}/${caller.pod.name}`;
  if (!pod || pod.metadata.uid !== caller.pod.uid) return refuse(`the caller's pod "${name}" is not known`, true);
  const phase = pod.status?.phase;
  if ((pod.spec.serviceAccountName || 'default') !== serviceAccount || phase === 'Failed' || phase === 'Succeeded') {
    return refuse(`the caller's pod "${name}" does not run as "${account}"`);
  }
  const gateway = pod.metadata.labels?.[gatewayNameLabel];
  if (gateway === undefined) {
    return refuse(`service account "${account}" may not read the mesh's workloads: its pod is of no Gateway`);
  }
  const wanted = accountOf(namespace, gateway);
  if (wanted === undefined) return refuse(`there is no Gateway "${namespace}/${gateway}" of this control plane`, true);
  if (wanted !== serviceAccount) {
    return refuse(
      `the proxies of Gateway "${namespace}/${gateway}" run as "${wanted}", not as "${serviceAccount}"`,
      true,
    );
  }
  return { kind: 'proxy', gateway: `${namespace}/${gateway}` };
}

function refuse(reason: string, transient: boolean = false): ProxyVerdict {
  return { kind: 'refuse', reason, transient };
}
