/** What a client asks a waypoint for: the authority of its CONNECT (ambient-l7, 1.5 and 1.6). Pure. */
import type { WaypointListener } from '../../api/l7/index.ts';
import type { NetworkId, ServiceKey } from '../../api/names.ts';
import { serviceKey } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import { isWaypointOf } from '../../decision/index.ts';
import { canonicalIp, tryParseIp } from '../../lib/ip.ts';
import type { MeshState } from '../../mesh/index.ts';

export type WaypointTarget =
  | { readonly kind: 'service'; readonly service: ServiceKey; readonly address: string; readonly port: number }
  /** A workload by its own address. */
  | { readonly kind: 'workload'; readonly address: string; readonly port: number }
  | TargetRefusal;

export interface TargetRefusal {
  readonly kind: 'refused';
  /** 404: by what we know it is not ours; 503: it is ours and not served yet; both may change. 400: it never will. */
  readonly status: 400 | 404 | 503;
  readonly reason: string;
}

export interface TargetContext {
  readonly mesh: MeshState;
  readonly network: NetworkId;
  readonly listener: WaypointListener;
  readonly clientNamespace: string;
  /** Ourselves as the mesh knows us. */
  readonly own: MeshWorkload | undefined;
  /** Workloads that we stood for until a moment ago. */
  readonly left: { has(workload: MeshWorkload): boolean };
}

export function waypointTarget(authority: string, context: TargetContext): WaypointTarget {
  const { mesh, network, clientNamespace, own, left } = context;
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(authority);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || port === 0 || port > 65_535) {
    return refused(400, `the authority ${JSON.stringify(authority)} is not HOST:PORT`);
  }
  if (!tryParseIp(host)) {
    const named = mesh.serviceByHostname(host.toLowerCase(), clientNamespace);
    if (!named) return refused(404, `no Service is called ${host}`);
    return serviceTarget(named, named.addresses[0]?.ip ?? host, port);
  }
  const address = canonicalIp(host);
  const service = mesh.serviceByVip(network, address, clientNamespace, port);
  if (service) return serviceTarget(service, address, port);
  const workload = mesh.workloadByIp(network, address);
  if (!workload) return refused(404, `${address} belongs to no Service and no workload that the mesh knows`);
  // We go there under our own name: whoever is refused at a workload must not come to it through us.
  const isOurs = (own && isWaypointOf(own, workload, mesh)) ?? false;
  if (!isOurs && !left.has(workload)) return notOurs(`the workload at ${address}`, 'workload', context.listener);
  return { kind: 'workload', address, port };
}

/** Of a Service of whose port we are told nothing: the mesh knows whether it will be. */
export function unservedRefusal(
  { service: key, port }: Extract<WaypointTarget, { kind: 'service' }>,
  { mesh, own, listener }: Pick<TargetContext, 'mesh' | 'own' | 'listener'>,
): TargetRefusal {
  const service = mesh.service(key);
  const what = `${key} port ${port}`;
  if (!own || !service || !isWaypointOf(own, service, mesh)) return notOurs(what, 'service', listener);
  const { namespace, name } = listener.origin;
  return refused(503, `waypoint ${namespace}/${name} is not told yet how to serve ${what}`);
}

function serviceTarget({ namespace, hostname }: MeshService, address: string, port: number): WaypointTarget {
  return { kind: 'service', service: serviceKey(namespace, hostname), address, port };
}

function notOurs(
  what: string,
  kind: 'service' | 'workload',
  { origin, trafficType }: TargetContext['listener'],
): TargetRefusal {
  const name = `waypoint ${origin.namespace}/${origin.name}`;
  if (trafficType === 'all' || trafficType === kind) return refused(404, `${name} does not stand for ${what}`);
  return refused(404, `${name} takes ${trafficType} traffic, not what goes to ${what}`);
}

function refused(status: TargetRefusal['status'], reason: string): TargetRefusal {
  return { kind: 'refused', status, reason };
}
