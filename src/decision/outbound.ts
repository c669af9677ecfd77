/** Where an outbound connection goes (ambient-l4 section 4). Pure: the mesh, the caller and a random come in. */
import { formatHostPort, isLoopback, tryParseIp } from '../lib/ip.ts';
import { serviceKey, spiffeId, type SpiffeId, type WorkloadUid } from '../api/names.ts';
import type { GatewayAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import type { MeshState } from '../mesh/index.ts';
import { tryParseSpiffeId } from '../identity/spiffe.ts';
import {
  addressOf,
  describeFamilies,
  familiesOf,
  familyOfAddress,
  ipv4,
  ipv6,
  serviceFamilies,
  type IpFamilies,
} from './addresses.ts';
import { drawEndpoint, type EndpointAvoidance } from './draw.ts';
import {
  describeGateway,
  drawWaypoints,
  findGateway,
  isWaypointOf,
  type FoundGateway,
  type GatewayRequest,
} from './gateways.ts';
import type { HbonePlan, OutboundPlan, OutboundRefusal } from './outbound-plan.ts';
import { rankEndpoints, type RankedEndpoints } from './ranked-endpoints.ts';

export interface OutboundRequest {
  readonly mesh: MeshState;
  /** The workload whose application connects. */
  readonly own: MeshWorkload;
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** The address of ours that the connection reached: a destination equal to it was never redirected. Asked for our own ports alone. */
  readonly listenerIp?: (() => string | undefined) | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The port on which peers take HBONE; 15008. */
  readonly hbonePort: number;
  /** Ports of our own listeners: a call to them would come back to us. */
  readonly ownPorts: ReadonlySet<number>;
  /** Endpoints that failed: for this connection, or a moment ago. */
  readonly avoid?: EndpointAvoidance | undefined;
}

type Addressing = Pick<OutboundRequest, 'mesh' | 'own' | 'destinationIp' | 'destinationPort'>;

/** A request and what every branch of the tree asks of it. */
interface Planning extends OutboundRequest {
  readonly clientFamilies: IpFamilies;
}

export function planOutbound(asked: OutboundRequest): OutboundPlan {
  const { mesh, own, destinationIp: ip, destinationPort: port } = asked;
  if (isSelf(ip, port, asked)) {
    return refuse('self-call', `destination ${formatHostPort(ip, port)} is a listener of the proxy itself`);
  }
  const request: Planning = { ...asked, clientFamilies: familiesOf(own, asked.sourceIp) };
  const { service, workload } = addressee(asked);
  if (service && !isWaypointOf(own, service, mesh)) {
    const waypoints = drawWaypoints(service, asked.random);
    if (waypoints.length > 0) return planWaypoint(waypoints, service, request);
  }
  if (service && !isPassthrough(service)) return planService(service, request);
  if (!workload) return service ? { kind: 'passthrough', ip, port, service } : planUnknown(request);
  if (workload.waypoint && !isWaypointOf(own, workload, mesh)) {
    return planWaypoint([workload.waypoint], undefined, request);
  }
  return planDirect({ workload, ip, port, service: undefined, drawn: false }, request);
}

/**
 * Whose address it is. A single virtual address means its service, also where a workload claims it: whoever may make workloads
 * must not take a service's waypoint out of the way. A workload's own address is more than a block of addresses around it,
 * unless it serves just that service. Both: the service has no endpoints of its own where it passes through, and the workload
 * is reached as if nobody had named its address.
 */
function addressee({ mesh, own, destinationIp: ip, destinationPort: port }: Addressing): {
  readonly service: MeshService | undefined;
  readonly workload: MeshWorkload | undefined;
} {
  const workload = mesh.workloadByIp(own.network, ip);
  const service = mesh.serviceByVip(own.network, ip, own.namespace, port);
  if (!workload || !service) return { service, workload };
  const isSingle = service.addresses.some(
    (address) => address.ip === ip && address.network === own.network && address.prefixLength === undefined,
  );
  const isMeant = isSingle || workload.services.has(serviceKey(service.namespace, service.hostname));
  return { service: isMeant ? service : undefined, workload };
}

function isPassthrough({ loadBalancing }: MeshService): boolean {
  return loadBalancing?.mode === 'passthrough';
}

/**
 * Whether a live connection that went directly, past any waypoint, would now have to go through one, or nowhere at all.
 * For connections that are older than a change; undefined: it may go on. `mesh`: it went into a tunnel, and the other end watches
 * over it.
 */
export function violatedByChange(
  asked: Addressing,
  wentTo: 'mesh' | 'outside',
): 'waypoint-required' | 'registry-only' | undefined {
  const { mesh, own } = asked;
  const { service, workload } = addressee(asked);
  const isGuarded = (it: MeshService | MeshWorkload): boolean => hasWaypoint(it) && !isWaypointOf(own, it, mesh);
  if (service && isGuarded(service)) return 'waypoint-required';
  if (workload && (!service || isPassthrough(service)) && isGuarded(workload)) return 'waypoint-required';
  if (wentTo === 'outside' && own.outboundMode === 'registry-only' && !service && !workload) return 'registry-only';
  return undefined;
}

/** Identities that may answer for a workload: its own, and those that the service vouches for. */
export function expectedIdentities(workload: MeshWorkload, service: MeshService | undefined): SpiffeId[] {
  const own = spiffeId(workload.trustDomain, workload.namespace, workload.serviceAccount);
  if (!service || service.subjectAltNames.length === 0) return [own];
  return [...new Set([own, ...vouchedBy(service)])];
}

/** Identities that the service says may answer for it, whoever its endpoints are. */
export function vouchedBy(service: MeshService | undefined): SpiffeId[] {
  return (service?.subjectAltNames ?? []).flatMap((name) => tryParseSpiffeId(name) ?? []);
}

function hasWaypoint(guarded: MeshService | MeshWorkload): boolean {
  if (guarded.waypoint) return true;
  return 'weightedWaypoints' in guarded && guarded.weightedWaypoints.some(({ weight }) => weight > 0);
}

/** A dial of it would end at our own listener, and come back here for ever. */
function isSelf(ip: string, port: number, { ownPorts, own, listenerIp }: OutboundRequest): boolean {
  if (!ownPorts.has(port)) return false;
  if (ip === listenerIp?.() || own.addresses.includes(ip)) return true;
  const bytes = tryParseIp(ip);
  return bytes !== undefined && isLoopback(bytes);
}

function planUnknown({ own, destinationIp: ip, destinationPort: port }: Planning): OutboundPlan {
  if (own.outboundMode !== 'registry-only') return { kind: 'passthrough', ip, port, service: undefined };
  return refuse(
    'registry-only',
    `${formatHostPort(ip, port)} is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY: a ServiceEntry would allow it`,
  );
}

function planService(service: MeshService, request: Planning): OutboundPlan {
  const { mesh, own, destinationIp, destinationPort, clientFamilies, random, avoid } = request;
  const ranked = rankEndpoints({ mesh, service, servicePort: destinationPort, client: own, clientFamilies });
  const families = clientFamilies & serviceFamilies(service.ipFamilies);
  /** Behind gateways that cannot be used now, and what was said of the first of them. */
  const cutOff = new Set<WorkloadUid>();
  let gatewayCount = 0;
  let second: OutboundPlan | undefined;
  for (;;) {
    const found = drawEndpoint(ranked, random, avoidingAlso(cutOff, avoid));
    if (!found) return second ?? refuseEmpty(service, ranked, request);
    const { workload, targetPort } = found;
    if (workload.network === own.network) {
      return withAddress({ workload, service, drawn: true, wanted: destinationIp, families }, (ip) => {
        const target = { workload, ip, port: targetPort, service, drawn: true };
        return isPlainName(workload) ? planNamed(target, request) : planDirect(target, request);
      });
    }
    const plan = planGateway({ workload, service, drawn: true }, request);
    if (plan.kind === 'refuse') second ??= plan;
    else if (plan.drawn === undefined || avoid?.isSuspect(plan.drawn) !== true) return plan;
    // A gateway that failed a moment ago is better than none.
    else if (second === undefined || second.kind === 'refuse') second = plan;
    if (++gatewayCount >= maxGateways) return second;
    for (const uid of behindSameGateway(workload, ranked)) cutOff.add(uid);
  }
}

function isPlainName({ addresses, tunnelProtocol }: MeshWorkload): boolean {
  return addresses.length === 0 && tunnelProtocol === 'none';
}

/** What a name outside stands for may be part of the mesh after all: then it is reached as if its address had been dialled. */
function planNamed(target: Target & { readonly service: MeshService }, request: Planning): OutboundPlan {
  const { ip: destinationIp, port: destinationPort } = target;
  const { service, workload } = addressee({ ...request, destinationIp, destinationPort });
  const isOther = service !== undefined && service !== target.service;
  if (!isOther && workload?.tunnelProtocol !== 'hbone') return planDirect(target, request);
  const plan = planOutbound({ ...request, destinationIp, destinationPort });
  // The client meant the service by whose name it came here.
  return plan.kind === 'resolve' ? planDirect(target, request) : { ...plan, service: target.service };
}

/** Networks are few; so many of them are looked at. */
const maxGateways = 8;

/** A network may have many endpoints of the service, and one gateway. */
function behindSameGateway({ networkGateway }: MeshWorkload, { groups }: RankedEndpoints): WorkloadUid[] {
  const name = networkGateway && describeGateway(networkGateway);
  const isBehind = (other: MeshWorkload): boolean =>
    other.networkGateway !== undefined && describeGateway(other.networkGateway) === name;
  return groups.flatMap(({ endpoints }) =>
    endpoints.flatMap(({ workload }) => (isBehind(workload) ? workload.uid : [])),
  );
}

function avoidingAlso(
  uids: ReadonlySet<WorkloadUid>,
  avoid: EndpointAvoidance | undefined,
): EndpointAvoidance | undefined {
  if (uids.size === 0) return avoid;
  return {
    tried: avoid ? new Set([...avoid.tried, ...uids]) : uids,
    anySuspect: avoid?.anySuspect ?? false,
    isSuspect: (uid) => avoid?.isSuspect(uid) ?? false,
  };
}

function refuseEmpty(service: MeshService, { leftOut }: RankedEndpoints, request: Planning): OutboundPlan {
  const { destinationPort, clientFamilies } = request;
  const { hostname } = service;
  if (!service.ports.some((port) => port.servicePort === destinationPort)) {
    return refuse('no-healthy-upstream', `service ${hostname} has no port ${destinationPort}`, undefined, service);
  }
  const { total, unhealthy, wrongFamily, elsewhere, unjoined } = leftOut;
  if (unjoined > 0 && unhealthy + elsewhere + wrongFamily === 0) {
    const message = `none of the ${unjoined} endpoints of ${hostname} is in a network that a gateway joins to "${request.own.network}"`;
    return refuse('remote-network', message, undefined, service);
  }
  if (wrongFamily > 0 && unhealthy + elsewhere + unjoined === 0) {
    const families = describeFamilies(clientFamilies & serviceFamilies(service.ipFamilies) || clientFamilies);
    const message = `none of the ${wrongFamily} endpoints of ${hostname} has an address to dial by ${families}`;
    return refuse('no-address', message, undefined, service);
  }
  const reasons = [
    ...(total === 0 ? ['it has none'] : []),
    ...(unhealthy > 0 ? [`${unhealthy} not ready`] : []),
    ...(elsewhere > 0 ? [`${elsewhere} outside of the locality that it is restricted to`] : []),
    ...(wrongFamily > 0 ? [`${wrongFamily} of another IP family`] : []),
    ...(unjoined > 0 ? [`${unjoined} in networks that no gateway joins`] : []),
  ];
  const why = reasons.length > 0 ? `: ${reasons.join(', ')}` : ` that serves port ${destinationPort}`;
  return refuse('no-healthy-upstream', `no healthy endpoint of ${hostname}${why}`, undefined, service);
}

interface Target {
  readonly workload: MeshWorkload;
  readonly ip: string;
  readonly port: number;
  readonly service: MeshService | undefined;
  readonly drawn: boolean;
}

function planDirect(target: Target, request: Planning): OutboundPlan {
  const { workload, ip, port, service } = target;
  const drawn = target.drawn ? workload.uid : undefined;
  if (workload.network !== request.own.network) return refuseRemote(workload, service);
  if (isSelf(ip, port, request)) {
    const message = `endpoint ${formatHostPort(ip, port)} is a listener of the proxy itself`;
    return refuse('self-call', message, workload, service);
  }
  if (workload.tunnelProtocol === 'none') return { kind: 'tcp', ip, port, workload, service, drawn };
  return {
    kind: 'hbone',
    ip,
    port: request.hbonePort,
    authority: formatHostPort(ip, port),
    expected: expectedIdentities(workload, service),
    workload,
    service,
    via: 'direct',
    drawn,
  };
}

/** The waypoint keeps the original destination as authority. One that is required and cannot be reached is never bypassed. */
function planWaypoint(
  waypoints: readonly GatewayAddress[],
  service: MeshService | undefined,
  request: Planning,
): OutboundPlan {
  const { own, destinationIp, destinationPort } = request;
  let found: FoundGateway | undefined;
  for (const waypoint of waypoints) if ((found = findGateway(waypoint, request))) break;
  if (!found) {
    const names = waypoints.map(describeGateway).join(' or ');
    const message = `waypoint ${names} is required and has no ready endpoint`;
    return refuse('waypoint-absent', message, undefined, service);
  }
  const { workload, port, drawn } = found;
  if (workload.network !== own.network) {
    return service
      ? planGateway({ workload, service, waypoint: found.service, drawn }, request)
      : refuseRemote(workload, service);
  }
  const families = request.clientFamilies & serviceFamilies(found.service?.ipFamilies ?? 'automatic');
  return withAddress({ workload, service, drawn, wanted: destinationIp, families }, (ip) => ({
    kind: 'hbone',
    ip,
    port,
    authority: formatHostPort(destinationIp, destinationPort),
    expected: expectedIdentities(workload, found.service),
    workload,
    service,
    via: 'waypoint',
    drawn: drawn ? workload.uid : undefined,
  }));
}

export interface RemoteTarget {
  /** In another network. */
  readonly workload: MeshWorkload;
  readonly service: MeshService;
  /** The service's waypoint's own service, where the workload is a pod of that. */
  readonly waypoint?: MeshService | undefined;
  readonly drawn: boolean;
}

/**
 * Through the gateway of another network: a tunnel to the gateway, and inside of it one to whoever the service vouches for
 * (ambient-l4 3.9, 4.4). Addresses mean nothing over there, so the authority is always the service's name. Of the request's
 * destination the address says which IP family is preferred, and the port is the service's.
 */
export function planGateway(
  to: RemoteTarget,
  request: GatewayRequest & Pick<OutboundRequest, 'destinationIp' | 'destinationPort'>,
): OutboundPlan {
  const { workload, service } = to;
  const { networkGateway } = workload;
  if (!networkGateway) return refuseRemote(workload, service);
  const found = findGateway(networkGateway, request);
  if (!found) {
    const message = `gateway ${describeGateway(networkGateway)} of network "${workload.network}" has no ready endpoint`;
    return refuse('remote-network', message, workload, service);
  }
  const innerExpected = [...new Set([...vouchedBy(service), ...vouchedBy(to.waypoint)])];
  if (innerExpected.length === 0) {
    const message = `service ${service.hostname} names no identity that may answer for it in network "${workload.network}"`;
    return refuse('no-identity', message, workload, service);
  }
  // Another pod of the gateway first; where it is a single address, another endpoint behind another gateway.
  const drawn = found.drawn ? found.workload.uid : to.drawn ? workload.uid : undefined;
  const families = request.clientFamilies & serviceFamilies(found.service?.ipFamilies ?? 'automatic');
  const dialled = { workload: found.workload, service, drawn: to.drawn, wanted: request.destinationIp, families };
  return withAddress(dialled, (ip): HbonePlan => ({
    kind: 'hbone',
    ip,
    port: found.port,
    authority: formatHostPort(service.hostname, request.destinationPort),
    expected: expectedIdentities(found.workload, found.service),
    workload: found.workload,
    service,
    via: 'gateway',
    innerExpected,
    drawn,
  }));
}

/** At one of its addresses, or at whatever its name stands for when it is dialled. */
function withAddress(
  to: {
    readonly workload: MeshWorkload;
    readonly service: MeshService | undefined;
    readonly drawn: boolean;
    readonly wanted: string;
    readonly families: IpFamilies;
  },
  plan: (ip: string) => OutboundPlan,
): OutboundPlan {
  const { workload, service, wanted, families } = to;
  const ip = addressOf(workload, wanted, families);
  if (ip !== undefined) return plan(ip);
  if (workload.addresses.length > 0 || workload.hostname === '') {
    const message = `workload ${workload.uid} has no address to dial by ${describeFamilies(families || ipv4 | ipv6)}`;
    return refuse('no-address', message, workload, service);
  }
  return {
    kind: 'resolve',
    hostname: workload.hostname,
    allowed: families,
    preferred: familyOfAddress(wanted) & families,
    workload,
    service,
    drawn: to.drawn ? workload.uid : undefined,
    withAddress: plan,
  };
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
