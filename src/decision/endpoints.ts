/** Picks one endpoint of a service: who is eligible, who is near, and a weighted draw. Pure but for the injected random. */
import { isIPv6 } from 'node:net';
import type { Endpoint, MeshState } from '../mesh/index.ts';
import { serviceKey } from '../api/names.ts';
import type { MeshService, MeshWorkload, RoutingScope } from '../api/workload.ts';

export interface PickRequest {
  readonly mesh: MeshState;
  readonly service: MeshService;
  readonly servicePort: number;
  /** Who asks: decides locality and which networks are remote. */
  readonly client: MeshWorkload;
  /** An endpoint with an application tunnel serves ports that it does not list: only for waypoints. */
  readonly allowTunnelPorts?: boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface PickedEndpoint {
  readonly workload: MeshWorkload;
  /** The endpoint's own port. */
  readonly targetPort: number;
}

/** The chosen endpoint, or undefined when none is eligible. */
export function pickEndpoint(request: PickRequest): PickedEndpoint | undefined {
  const { mesh, service, client, random } = request;
  const candidates: PickedEndpoint[] = [];
  for (const endpoint of mesh.endpoints(serviceKey(service.namespace, service.hostname)).values()) {
    const targetPort = eligiblePort(endpoint, request);
    if (targetPort !== undefined) candidates.push({ workload: endpoint.workload, targetPort });
  }
  return drawWeighted(nearest(candidates, service, client), random);
}

/** The port of one endpoint for a service port: its own map, the service's target port, or undefined (4.1). */
export function targetPortOf(
  endpoint: Endpoint,
  service: MeshService,
  servicePort: number,
  allowTunnelPorts = false,
): number | undefined {
  const own = endpoint.ports.find((port) => port.servicePort === servicePort)?.targetPort;
  if (own) return own;
  const shared = service.ports.find((port) => port.servicePort === servicePort)?.targetPort;
  if (shared) return shared;
  if (allowTunnelPorts && endpoint.workload.applicationTunnel) return servicePort;
  return undefined;
}

/** The address to dial: the one that was asked for, else one of a family that fits the service and the caller. */
export function addressOf(
  workload: MeshWorkload,
  wanted: string,
  families: MeshService['ipFamilies'] = 'automatic',
): string | undefined {
  if (workload.addresses.includes(wanted)) return wanted;
  const allowed = workload.addresses.filter((ip) => {
    if (families === 'ipv4') return !isIPv6(ip);
    return families === 'ipv6' ? isIPv6(ip) : true;
  });
  return allowed.find((ip) => isIPv6(ip) === isIPv6(wanted)) ?? allowed[0];
}

function eligiblePort(endpoint: Endpoint, request: PickRequest): number | undefined {
  const { workload } = endpoint;
  const { service, client } = request;
  if (workload.status === 'unhealthy' && service.loadBalancing?.healthPolicy !== 'allow-all') return undefined;
  const throughGateway = workload.network !== client.network && workload.networkGateway !== undefined;
  if (workload.addresses.length === 0 && workload.hostname === '' && !throughGateway) return undefined;
  return targetPortOf(endpoint, service, request.servicePort, request.allowTunnelPorts);
}

function nearest(
  candidates: readonly PickedEndpoint[],
  service: MeshService,
  client: MeshWorkload,
): readonly PickedEndpoint[] {
  const { mode = 'unspecified', routingPreference = [] } = service.loadBalancing ?? {};
  switch (mode) {
    case 'unspecified':
    case 'passthrough':
      return candidates;
    case 'strict':
      return candidates.filter(({ workload }) =>
        routingPreference.every((scope) => sameScope(scope, workload, client)),
      );
    case 'failover': {
      const ranks = candidates.map(({ workload }) => rankOf(routingPreference, workload, client));
      const best = Math.max(...ranks, 0);
      return candidates.filter((_, i) => ranks[i] === best);
    }
  }
}

/**
 * How many preferences in a row hold. A leading network preference outweighs all the others together, and its failing
 * does not end the count, so that remote endpoints still rank among themselves.
 */
function rankOf(preferences: readonly RoutingScope[], workload: MeshWorkload, client: MeshWorkload): number {
  let rank = 0;
  for (const [i, scope] of preferences.entries()) {
    const holds = sameScope(scope, workload, client);
    if (i === 0 && scope === 'network') rank += holds ? preferences.length : 0;
    else if (holds) rank += 1;
    else break;
  }
  return rank;
}

function sameScope(scope: RoutingScope, a: MeshWorkload, b: MeshWorkload): boolean {
  switch (scope) {
    case 'region':
      return a.locality.region === b.locality.region;
    case 'zone':
      return a.locality.zone === b.locality.zone;
    case 'subzone':
      return a.locality.subzone === b.locality.subzone;
    case 'node':
      return a.node === b.node;
    case 'cluster':
      return a.clusterId === b.clusterId;
    case 'network':
      return a.network === b.network;
  }
}

function drawWeighted(candidates: readonly PickedEndpoint[], random: () => number): PickedEndpoint | undefined {
  let total = 0;
  for (const { workload } of candidates) total += workload.capacity;
  let rest = random() * total;
  for (const candidate of candidates) {
    rest -= candidate.workload.capacity;
    if (rest < 0) return candidate;
  }
  return undefined;
}
