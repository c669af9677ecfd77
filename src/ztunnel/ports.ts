/** Ports and marks that the in-pod rules, peers and tools know. */
export const outboundPort = 15001;
export const plaintextPort = 15006;
export const hbonePort = 15008;
/** Queries to the pod's first name server; those to the next ones are at the ports after it. */
export const dnsPort = 15053;
export const adminPort = 15000;
export const metricsPort = 15020;
export const readinessPort = 15021;

/** SO_MARK of every socket of ours: the rules never capture it again. */
export const proxyMark = 0x539;

/** SO_MARK of our sockets in this pod: a secret of the pod, where the node agent knows how to give it one. */
export function markOf(pod: { readonly mark?: number }): number {
  return pod.mark ?? proxyMark;
}

/** Nobody may make us call these: it would be ourselves. */
export const ownPorts: ReadonlySet<number> = new Set([outboundPort, plaintextPort, hbonePort]);
