/** Waypoints and network gateways: which one serves, and where it is dialled (ambient-l4 4.3). Pure. */
import { serviceKey, type ServiceKey } from '../api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import type { MeshState } from '../mesh/index.ts';
import type { IpFamilies } from './addresses.ts';
import { drawEndpoint, type EndpointAvoidance } from './draw.ts';
import { rankEndpoints } from './ranked-endpoints.ts';

export interface GatewayRequest {
  readonly mesh: MeshState;
  readonly own: MeshWorkload;
  readonly clientFamilies: IpFamilies;
  readonly random: () => number;
  readonly avoid?: EndpointAvoidance | undefined;
}

export interface FoundGateway {
  readonly workload: MeshWorkload;
  /** The gateway's own service, where it has one. */
  readonly service: MeshService | undefined;
  readonly port: number;
  /** It was drawn from several. */
  readonly drawn: boolean;
}

/** A ready endpoint of the gateway, or undefined. */
export function findGateway(gateway: GatewayAddress, request: GatewayRequest): FoundGateway | undefined {
  const { mesh, own, clientFamilies, random, avoid } = request;
  const service = gatewayService(gateway, own, mesh);
  if (service) {
    const ranked = rankEndpoints({
      mesh,
      service,
      servicePort: gateway.hboneMtlsPort,
      client: own,
      clientFamilies,
      allowTunnelPorts: true,
    });
    const found = drawEndpoint(ranked, random, avoid);
    return found && { workload: found.workload, service, port: found.targetPort, drawn: true };
  }
  if (gateway.destination.kind === 'hostname') return undefined;
  const { network, ip } = gateway.destination.address;
  const workload = mesh.workloadByIp(network, ip);
  if (!workload || workload.status === 'unhealthy') return undefined;
  return { workload, service: undefined, port: gateway.hboneMtlsPort, drawn: false };
}

/** The waypoints that may stand for the service: one of them drawn by weight, then the others that have a share. Empty: it has none. */
export function drawWaypoints(service: MeshService, random: () => number): readonly GatewayAddress[] {
  const shares = service.weightedWaypoints.filter(({ weight }) => weight > 0);
  if (shares.length === 0) return service.waypoint ? [service.waypoint] : [];
  let total = 0;
  for (const { weight } of shares) total += weight;
  let rest = random() * total;
  let drawn = shares.findIndex(({ weight }) => (rest -= weight) < 0);
  if (drawn < 0) drawn = shares.length - 1;
  return [...shares.slice(drawn), ...shares.slice(0, drawn)].map(({ destination }) => destination);
}

/** All waypoints of something, whatever their weight. */
export function* waypointsOf(guarded: MeshService | MeshWorkload): Iterable<GatewayAddress> {
  if (guarded.waypoint) yield guarded.waypoint;
  if ('weightedWaypoints' in guarded) for (const { destination } of guarded.weightedWaypoints) yield destination;
}

/** Whether `own` is a pod of one of the waypoints of `guarded`, ready or not. */
export function isWaypointOf(own: MeshWorkload, guarded: MeshService | MeshWorkload, mesh: MeshState): boolean {
  for (const gateway of waypointsOf(guarded)) if (isPodOf(own, gateway, mesh)) return true;
  return false;
}

export function describeGateway({ destination }: GatewayAddress): string {
  if (destination.kind === 'hostname') return `${destination.namespace}/${destination.hostname}`;
  return `${destination.address.network}/${destination.address.ip}`;
}

function isPodOf(own: MeshWorkload, gateway: GatewayAddress, mesh: MeshState): boolean {
  const { destination } = gateway;
  let key: ServiceKey | undefined;
  if (destination.kind === 'hostname') key = serviceKey(destination.namespace, destination.hostname);
  else {
    const { network, ip } = destination.address;
    if (network === own.network && own.addresses.includes(ip)) return true;
    const service = mesh.serviceByVip(network, ip, own.namespace);
    if (service) key = serviceKey(service.namespace, service.hostname);
  }
  return key !== undefined && mesh.endpoints(key).has(own.uid);
}

function gatewayService(gateway: GatewayAddress, own: MeshWorkload, mesh: MeshState): MeshService | undefined {
  const { destination } = gateway;
  if (destination.kind === 'hostname') return mesh.service(serviceKey(destination.namespace, destination.hostname));
  return mesh.serviceByVip(destination.address.network, destination.address.ip, own.namespace);
}
