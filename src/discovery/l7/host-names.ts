/** Hosts as Istio's resources name them: short names, wildcards, and which of several is meant. Pure. */

/** The host in full: one without a dot is a Service of the object's own namespace. */
export function fullHost(host: string, namespace: string, clusterDomain: string): string {
  const name = host.toLowerCase();
  return name.includes('.') || name.includes('*') ? name : `${name}.${namespace}.svc.${clusterDomain}`;
}

/** Whether every name that `inner` stands for is one of `outer`. */
export function coversHost(outer: string, inner: string): boolean {
  if (!outer.startsWith('*')) return outer === inner;
  return inner.endsWith(outer.slice(1)) && inner.length >= outer.length;
}

/** Larger: more special. A name without a wildcard is more special than any with one. */
export function hostRank(host: string): number {
  return host.startsWith('*') ? host.length : Number.MAX_SAFE_INTEGER;
}
