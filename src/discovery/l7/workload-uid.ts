/** From the name of a workload on the wire to the object that it comes from (ambient-l4, 10.1 and 10.2). Pure. */

export type WorkloadSource =
  | { readonly kind: 'pod' | 'workload-entry'; readonly key: string }
  /** An endpoint that a ServiceEntry lists; `nth` of those with the address. */
  | { readonly kind: 'service-entry'; readonly key: string; readonly address: string; readonly nth: number };

const entryGroup = 'networking.istio.io';

/** Undefined: nothing with labels. */
export function objectKeyOfUid(uid: string): WorkloadSource | undefined {
  const [cluster, group, kind, namespace, name, ...rest] = uid.split('/');
  const key = `${cluster}/${namespace}/${name}`;
  if (group === '' && kind === 'Pod') return { kind: 'pod', key };
  if (group !== entryGroup) return undefined;
  if (kind === 'WorkloadEntry') return { kind: 'workload-entry', key };
  if (kind !== 'ServiceEntry') return undefined;
  const [address = '', nth = '0'] = rest;
  return { kind: 'service-entry', key, address, nth: Number(nth) };
}
