/** Gateway -> waypoint: whether it may be used, by whom, for what, and where it is (ambient-l4, 10.4). Pure. */
import type { Gateway, GatewayClass } from '../api/gateway.ts';
import type { LabelSelector } from '../api/meta.ts';
import type { NetworkId } from '../api/names.ts';
import type { ApplicationTunnel, GatewayAddress } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { gatewayObjects } from './gateway-objects.ts';
import { gatewayRole, hboneListeners, hbonePort, inboundBinding } from './gateway-role.ts';

export interface Waypoint {
  readonly namespace: string;
  readonly name: string;
  /** Where its HBONE is taken: its own word, or, while it has none, the name of the Service that it will have. */
  readonly address: GatewayAddress;
  /** Why it cannot be used yet. */
  readonly notReady?: string;
  readonly trafficType: 'service' | 'workload' | 'all' | 'none';
  readonly allowed: { readonly from: 'Same' | 'All' } | { readonly from: 'Selector'; readonly selector: LabelSelector };
  /** How a ztunnel in front of its pods hands them traffic. */
  readonly inboundBinding?: ApplicationTunnel;
}

export interface WaypointContext {
  readonly gatewayClass: GatewayClass | undefined;
  readonly clusterDomain: string;
  readonly network: NetworkId;
}

export function waypointOf(gateway: Gateway, context: WaypointContext): Waypoint {
  const { gatewayClass, clusterDomain } = context;
  const { name = '', namespace = '' } = gateway.metadata;
  const binding = inboundBinding(gateway, gatewayClass);
  const address = statusAddress(gateway, context.network);
  const notReady = isWaypoint(gateway, gatewayClass)
    ? address
      ? undefined
      : `Gateway ${namespace}/${name} has no address yet`
    : `Gateway ${namespace}/${name} is of class ${gateway.spec.gatewayClassName}, which is no class of waypoints`;
  return {
    namespace,
    name,
    address: address ?? serviceAddress(namespace, gatewayObjects(gateway, gatewayClass)?.name ?? name, clusterDomain),
    ...(notReady === undefined ? {} : { notReady }),
    trafficType: trafficTypeOf(gateway, gatewayClass),
    allowed: allowedNamespaces(gateway, binding),
    ...(binding ? { inboundBinding: binding } : {}),
  };
}

/** By the name of the Service that a waypoint is deployed with. */
export function serviceAddress(namespace: string, name: string, clusterDomain: string): GatewayAddress {
  const hostname = `${name}.${namespace}.svc.${clusterDomain}`;
  return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort: hbonePort };
}

/** A foreign controller's Gateway is a waypoint when it takes HBONE, or says how ztunnels are to hand traffic over. */
function isWaypoint(gateway: Gateway, gatewayClass: GatewayClass | undefined): boolean {
  const role = gatewayRole(gateway, gatewayClass);
  if (role !== 'foreign') return role === 'waypoint';
  return hboneListeners(gateway).length > 0 || inboundBinding(gateway, gatewayClass) !== undefined;
}

/** A host name rather than an address: then each ztunnel chooses the IP family. */
function statusAddress(gateway: Gateway, network: NetworkId): GatewayAddress | undefined {
  const addresses = gateway.status?.addresses ?? [];
  const hostname = addresses.find(({ type }) => type === 'Hostname')?.value;
  if (hostname) {
    const namespace = gateway.metadata.namespace ?? '';
    return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort: hbonePort };
  }
  const ip = addresses.find(({ type = 'IPAddress', value }) => type === 'IPAddress' && tryParseIp(value))?.value;
  if (ip === undefined) return undefined;
  return { destination: { kind: 'address', address: { network, ip: canonicalIp(ip) } }, hboneMtlsPort: hbonePort };
}

function trafficTypeOf(gateway: Gateway, gatewayClass: GatewayClass | undefined): Waypoint['trafficType'] {
  const label = 'istio.io/waypoint-for';
  const text = gateway.metadata.labels?.[label] ?? gatewayClass?.metadata.labels?.[label];
  return text === 'workload' || text === 'all' || text === 'none' ? text : 'service';
}

function allowedNamespaces(gateway: Gateway, binding: ApplicationTunnel | undefined): Waypoint['allowed'] {
  const listeners = gateway.spec.listeners;
  const listener =
    hboneListeners(gateway).find(({ port }) => port === hbonePort) ??
    listeners.find(({ port }) => binding && port === binding.port);
  const { from = 'Same', selector = {} } = listener?.allowedRoutes?.namespaces ?? {};
  return from === 'Selector' ? { from, selector: selector as LabelSelector } : { from };
}
