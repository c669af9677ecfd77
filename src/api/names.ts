/** Branded names: keys that carry their cluster, addresses that carry their network. */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
export type SpiffeId = Branded<'SpiffeId'>;
/** Name of a cluster; default "Kubernetes". */
export type ClusterId = Branded<'ClusterId'>;
/** Name of a network; "" when the mesh has one. */
export type NetworkId = Branded<'NetworkId'>;
/** WDS name of a workload: `<cluster>//Pod/<namespace>/<name>` and the other forms of istio.workload. */
export type WorkloadUid = Branded<'WorkloadUid'>;
/** `<namespace>/<hostname>` */
export type ServiceKey = Branded<'ServiceKey'>;
/** `<namespace>/<name>` of an authorization policy. */
export type PolicyKey = Branded<'PolicyKey'>;

export const defaultTrustDomain = 'cluster.local';
export const defaultClusterDomain = 'cluster.local';
export const defaultClusterId: ClusterId = 'Kubernetes' as ClusterId;
export const systemNamespace = 'istio-system';

export function serviceKey(namespace: string, hostname: string): ServiceKey {
  return `${namespace}/${hostname}` as ServiceKey;
}

export function policyKey(namespace: string, name: string): PolicyKey {
  return `${namespace}/${name}` as PolicyKey;
}

export function podWorkloadUid(cluster: ClusterId, namespace: string, name: string): WorkloadUid {
  return `${cluster}//Pod/${namespace}/${name}` as WorkloadUid;
}

/** The SPIFFE id of a service account. Names are Kubernetes names, hence never need escaping. */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}` as SpiffeId;
}
