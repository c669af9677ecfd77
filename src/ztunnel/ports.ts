/** Ports and marks that the in-pod rules, peers and tools know. */
export const outboundPort = 15001;
export const plaintextPort = 15006;
export const hbonePort = 15008;
export const adminPort = 15000;
export const metricsPort = 15020;
export const readinessPort = 15021;

/** SO_MARK of every socket of ours: the rules never capture it again. */
export const proxyMark = 0x539;

/** Nobody may make us call these: it would be ourselves. */
export const ownPorts: ReadonlySet<number> = new Set([outboundPort, plaintextPort, hbonePort]);
