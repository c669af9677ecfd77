/** What a client asks a waypoint for: the authority of its CONNECT (ambient-l7, 1.5 and 1.6). Pure. */
import type { WaypointListener } from '../../api/l7/index.ts';
import type { NetworkId, ServiceKey } from '../../api/names.ts';
import { serviceKey } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { isWaypointOf } from '../../decision/index.ts';
import { canonicalIp, tryParseIp } from '../../lib/ip.ts';
import type { MeshState } from '../../mesh/index.ts';

export type WaypointTarget =
  | { readonly kind: 'service'; readonly service: ServiceKey; readonly address: string; readonly port: number }
  /** A workload by its own address. */
  | { readonly kind: 'workload'; readonly address: string; readonly port: number }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

export interface TargetContext {
  readonly mesh: MeshState;
  readonly network: NetworkId;
  readonly listener: WaypointListener;
  readonly clientNamespace: string;
  /** Ourselves as the mesh knows us. */
  readonly own: MeshWorkload | undefined;
}

export function waypointTarget(authority: string, context: TargetContext): WaypointTarget {
  const { mesh, network, listener, clientNamespace, own } = context;
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(authority);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || port === 0 || port > 65_535) {
    return refused(400, `the authority ${JSON.stringify(authority)} is not HOST:PORT`);
  }
  const takesServices = listener.trafficType === 'service' || listener.trafficType === 'all';
  if (!tryParseIp(host)) {
    const named = mesh.serviceByHostname(host.toLowerCase(), clientNamespace);
    if (!named) return refused(404, `no Service is called ${host}`);
    if (!takesServices) return notFor(listener, 'Services');
    return {
      kind: 'service',
      service: serviceKey(named.namespace, named.hostname),
      address: named.addresses[0]?.ip ?? host,
      port,
    };
  }
  const address = canonicalIp(host);
  const service = mesh.serviceByVip(network, address, clientNamespace);
  if (service) {
    if (!takesServices) return notFor(listener, 'Services');
    return { kind: 'service', service: serviceKey(service.namespace, service.hostname), address, port };
  }
  const workload = mesh.workloadByIp(network, address);
  if (!workload) return refused(404, `${address} belongs to no Service and no workload that the mesh knows`);
  if (listener.trafficType !== 'workload' && listener.trafficType !== 'all') return notFor(listener, 'workloads');
  // We go there under our own name: whoever is refused at a workload must not come to it through us.
  if (!own || !isWaypointOf(own, workload, mesh)) {
    const { origin } = listener;
    return refused(404, `waypoint ${origin.namespace}/${origin.name} does not stand for the workload at ${address}`);
  }
  return { kind: 'workload', address, port };
}

function notFor({ origin, trafficType }: WaypointListener, what: string): WaypointTarget {
  return refused(
    404,
    `waypoint ${origin.namespace}/${origin.name} takes ${trafficType} traffic, not what goes to ${what}`,
  );
}

function refused(status: number, reason: string): WaypointTarget {
  return { kind: 'refused', status, reason };
}
