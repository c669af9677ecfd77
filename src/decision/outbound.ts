/** Where an outbound connection goes (ambient-l4 section 4). Pure: the mesh, the caller and a random come in. */
import { formatHostPort, isLoopback, tryParseIp } from '../lib/ip.ts';
import { serviceKey, spiffeId, type NetworkId, type ServiceKey, type SpiffeId } from '../api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import type { MeshState } from '../mesh/index.ts';
import { tryParseSpiffeId } from '../identity/spiffe.ts';
import { addressOf, pickEndpoint } from './endpoints.ts';

export interface OutboundRequest {
  readonly mesh: MeshState;
  /** The workload whose application connects. */
  readonly own: MeshWorkload;
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The port on which peers take HBONE; 15008. */
  readonly hbonePort: number;
  /** Ports of our own listeners: a call to them would come back to us. */
  readonly ownPorts: ReadonlySet<number>;
}

/** Why an outbound connection is refused: stable, for logs and metrics. */
export type OutboundRefusal = 'self-call' | 'no-healthy-upstream' | 'waypoint-absent' | 'no-address' | 'remote-network';

export type OutboundPlan =
  | {
      readonly kind: 'hbone';
      /** Where TLS is dialled. */
      readonly ip: string;
      readonly port: number;
      /** CONNECT authority: what the other end reaches for us. */
      readonly authority: string;
      /** The peer must prove one of these. Never empty. */
      readonly expected: readonly SpiffeId[];
      readonly workload: MeshWorkload;
      readonly service: MeshService | undefined;
      readonly via: 'direct' | 'waypoint';
    }
  /** A known workload that speaks no HBONE. */
  | {
      readonly kind: 'tcp';
      readonly ip: string;
      readonly port: number;
      readonly workload: MeshWorkload;
      readonly service: MeshService | undefined;
    }
  /** Outside the mesh: the original destination, untouched. */
  | {
      readonly kind: 'passthrough';
      readonly ip: string;
      readonly port: number;
      readonly service: MeshService | undefined;
    }
  | {
      readonly kind: 'refuse';
      readonly reason: OutboundRefusal;
      readonly message: string;
      readonly workload: MeshWorkload | undefined;
      readonly service: MeshService | undefined;
    };

export function planOutbound(request: OutboundRequest): OutboundPlan {
  const { mesh, own, destinationIp: ip, destinationPort: port } = request;
  if (request.ownPorts.has(port) && isLoopbackText(ip)) {
    return refuse('self-call', `destination ${formatHostPort(ip, port)} is a listener of the proxy itself`);
  }

  // A workload's own address means that workload, even where a service claims it as a virtual one.
  const addressed = mesh.workloadByIp(own.network, ip) ? undefined : mesh.serviceByVip(own.network, ip, own.namespace);
  const waypoint = addressed && chooseWaypoint(addressed, request);
  if (addressed && waypoint && !isWaypointOf(own, waypoint, mesh)) {
    return planWaypoint(waypoint, formatHostPort(ip, port), addressed, request);
  }

  const service = mesh.serviceByVip(own.network, ip, own.namespace);
  if (service && service.loadBalancing?.mode !== 'passthrough') return planService(service, request);
  if (service) return { kind: 'passthrough', ip, port, service };
  const workload = mesh.workloadByIp(own.network, ip);
  if (!workload) return { kind: 'passthrough', ip, port, service: undefined };
  if (workload.waypoint && !isWaypointOf(own, workload.waypoint, mesh)) {
    return planWaypoint(workload.waypoint, formatHostPort(ip, port), undefined, request);
  }
  return planDirect(workload, ip, port, undefined, request);
}

/** Identities that may answer for a workload: its own, and those that the service vouches for. */
export function expectedIdentities(workload: MeshWorkload, service: MeshService | undefined): SpiffeId[] {
  const own = spiffeId(workload.trustDomain, workload.namespace, workload.serviceAccount);
  const vouched = (service?.subjectAltNames ?? []).flatMap((name) => tryParseSpiffeId(name) ?? []);
  return [...new Set([own, ...vouched])];
}

function isLoopbackText(ip: string): boolean {
  const bytes = tryParseIp(ip);
  return bytes !== undefined && isLoopback(bytes);
}

function planService(service: MeshService, request: OutboundRequest): OutboundPlan {
  const { mesh, own, destinationIp, destinationPort, random } = request;
  const picked = pickEndpoint({ mesh, service, servicePort: destinationPort, client: own, random });
  if (!picked) {
    const known = service.ports.some((port) => port.servicePort === destinationPort);
    const message = known
      ? `no healthy endpoint of ${service.hostname}`
      : `service ${service.hostname} has no port ${destinationPort}`;
    return refuse('no-healthy-upstream', message, undefined, service);
  }
  const { workload, targetPort } = picked;
  if (workload.network !== own.network) return refuseRemote(workload, service);
  const ip = addressOf(workload, destinationIp, service.ipFamilies);
  if (ip === undefined)
    return refuse('no-address', `workload ${workload.uid} has no address to dial`, workload, service);
  return planDirect(workload, ip, targetPort, service, request);
}

function planDirect(
  workload: MeshWorkload,
  ip: string,
  port: number,
  service: MeshService | undefined,
  request: OutboundRequest,
): OutboundPlan {
  if (workload.network !== request.own.network) return refuseRemote(workload, service);
  if (workload.tunnelProtocol === 'none') return { kind: 'tcp', ip, port, workload, service };
  return {
    kind: 'hbone',
    ip,
    port: request.hbonePort,
    authority: formatHostPort(ip, port),
    expected: expectedIdentities(workload, service),
    workload,
    service,
    via: 'direct',
  };
}

/** The waypoint keeps the original destination as authority. One that is required and cannot be reached is never bypassed. */
function planWaypoint(
  gateway: GatewayAddress,
  authority: string,
  service: MeshService | undefined,
  request: OutboundRequest,
): OutboundPlan {
  const found = resolveGateway(gateway, request);
  if (!found) {
    return refuse('waypoint-absent', `waypoint ${describeGateway(gateway)} has no ready endpoint`, undefined, service);
  }
  if (found.workload.network !== request.own.network) return refuseRemote(found.workload, service);
  return {
    kind: 'hbone',
    ip: found.ip,
    port: found.port,
    authority,
    expected: expectedIdentities(found.workload, found.service),
    workload: found.workload,
    service,
    via: 'waypoint',
  };
}

function resolveGateway(
  gateway: GatewayAddress,
  request: OutboundRequest,
): { workload: MeshWorkload; service: MeshService | undefined; ip: string; port: number } | undefined {
  const { mesh, own, destinationIp, random } = request;
  const service = gatewayService(gateway, own, mesh);
  if (service) {
    const picked = pickEndpoint({
      mesh,
      service,
      servicePort: gateway.hboneMtlsPort,
      client: own,
      allowTunnelPorts: true,
      random,
    });
    const ip = picked && addressOf(picked.workload, destinationIp, service.ipFamilies);
    return picked && ip !== undefined ? { workload: picked.workload, service, ip, port: picked.targetPort } : undefined;
  }
  if (gateway.destination.kind === 'hostname') return undefined;
  const { network, ip } = gateway.destination.address;
  const workload = mesh.workloadByIp(network, ip);
  if (!workload || workload.status === 'unhealthy') return undefined;
  return { workload, service: undefined, ip, port: gateway.hboneMtlsPort };
}

function gatewayService(gateway: GatewayAddress, own: MeshWorkload, mesh: MeshState): MeshService | undefined {
  const { destination } = gateway;
  if (destination.kind === 'hostname') return mesh.service(serviceKey(destination.namespace, destination.hostname));
  return mesh.serviceByVip(destination.address.network as NetworkId, destination.address.ip, own.namespace);
}

/** Whether `own` is a pod of the waypoint, ready or not: it must reach what it guards without going through itself. */
function isWaypointOf(own: MeshWorkload, gateway: GatewayAddress, mesh: MeshState): boolean {
  const { destination } = gateway;
  let key: ServiceKey | undefined;
  if (destination.kind === 'hostname') key = serviceKey(destination.namespace, destination.hostname);
  else {
    if (destination.address.network === own.network && own.addresses.includes(destination.address.ip)) return true;
    const service = mesh.serviceByVip(destination.address.network, destination.address.ip, own.namespace);
    if (service) key = serviceKey(service.namespace, service.hostname);
  }
  return key !== undefined && mesh.endpoints(key).has(own.uid);
}

function chooseWaypoint(service: MeshService, request: OutboundRequest): GatewayAddress | undefined {
  let total = 0;
  for (const { weight } of service.weightedWaypoints) total += weight;
  if (total === 0) return service.waypoint;
  let rest = request.random() * total;
  for (const { destination, weight } of service.weightedWaypoints) {
    rest -= weight;
    if (rest < 0) return destination;
  }
  return service.waypoint;
}

function describeGateway({ destination }: GatewayAddress): string {
  if (destination.kind === 'hostname') return `${destination.namespace}/${destination.hostname}`;
  return `${destination.address.network}/${destination.address.ip}`;
}

function refuseRemote(workload: MeshWorkload, service: MeshService | undefined): OutboundPlan {
  return refuse(
    'remote-network',
    `workload ${workload.uid} is in network "${workload.network}", which no gateway joins`,
    workload,
    service,
  );
}

function refuse(
  reason: OutboundRefusal,
  message: string,
  workload?: MeshWorkload,
  service?: MeshService,
): OutboundPlan {
  return { kind: 'refuse', reason, message, workload, service };
}
