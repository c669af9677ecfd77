/**
 * Gateways through which a network is entered (ambient-l4, 10.8): those of the class for east-west traffic, and those that describe
 * a gateway elsewhere. Pure.
 */
import type { Gateway } from '../api/gateway.ts';
import { serviceKey, type ClusterId, type NetworkId, type WorkloadUid } from '../api/names.ts';
import type { GatewayAddress, MeshAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { hboneListeners, type GatewayRole } from './gateway-role.ts';
import { networkLabel } from './networks.ts';

export interface NetworkGateway {
  readonly network: NetworkId;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** An IP address, canonical, or a DNS name. */
  readonly host: string;
  readonly port: number;
  /** The name is that of a Service of this cluster, which has its own endpoints. */
  readonly isService: boolean;
}

/** One for each address that takes HBONE; none for Gateways of other roles, or of a network without a name. */
export function networkGatewaysOf(
  gateway: Gateway,
  role: GatewayRole,
  { ownNetwork, clusterDomain }: { readonly ownNetwork: NetworkId; readonly clusterDomain: string },
): NetworkGateway[] {
  if (role !== 'east-west' && role !== 'remote') return [];
  const { name = '', namespace = '', labels, annotations } = gateway.metadata;
  // A gateway elsewhere is of the network that it says, never of ours by default.
  const network = (labels?.[networkLabel] ?? (role === 'east-west' ? ownNetwork : '')) as NetworkId;
  const port = hboneListeners(gateway)[0]?.port;
  if (network === '' || port === undefined) return [];
  const said = gateway.status?.addresses?.length ? gateway.status.addresses : (gateway.spec.addresses ?? []);
  const hosts = said.flatMap(({ type = 'IPAddress', value }) => {
    if (type === 'IPAddress' && value && tryParseIp(value)) return [canonicalIp(value)];
    return type === 'Hostname' && value ? [value] : [];
  });
  const serviceAccount = annotations?.['gateway.istio.io/service-account'] ?? name;
  const services = `.${namespace}.svc.${clusterDomain}`;
  return [...new Set(hosts)].map((host) => ({
    network,
    namespace,
    name,
    serviceAccount,
    host,
    port,
    isService: role === 'east-west' && host.endsWith(services),
  }));
}

/** As workloads name the gateway of their network. */
export function gatewayAddress({ network, namespace, host, port }: NetworkGateway): GatewayAddress {
  return tryParseIp(host)
    ? { destination: { kind: 'address', address: { network, ip: host } }, hboneMtlsPort: port }
    : { destination: { kind: 'hostname', namespace, hostname: host }, hboneMtlsPort: port };
}

/** The gateway itself as a workload of its network; one that has a name alone also as a Service, by which it is found. */
export function gatewayResources(
  gateway: NetworkGateway,
  context: { readonly cluster: ClusterId; readonly trustDomain: string },
): MeshAddress[] {
  const { network, namespace, name, host, port } = gateway;
  if (gateway.isService) return [];
  const isIp = tryParseIp(host) !== undefined;
  const key = serviceKey(namespace, host);
  const ports = [{ servicePort: port, targetPort: port, appProtocol: 'unknown' as const }];
  const workload: MeshWorkload = {
    uid: `NetworkGateway/${network}/${host}/${port}` as WorkloadUid,
    name,
    namespace,
    addresses: isIp ? [host] : [],
    hostname: isIp ? '' : host,
    network,
    tunnelProtocol: 'hbone',
    nativeTunnel: true,
    trustDomain: context.trustDomain,
    serviceAccount: gateway.serviceAccount,
    node: '',
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'pod',
    workloadName: name,
    services: isIp ? new Map() : new Map([[key, ports]]),
    authorizationPolicies: [],
    status: 'healthy',
    clusterId: context.cluster,
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'standard',
    capacity: 1,
  };
  if (isIp) return [{ kind: 'workload', workload }];
  const service: MeshService = {
    name,
    namespace,
    hostname: host,
    addresses: [],
    ports,
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: 'automatic',
    canonical: false,
    ingressUseWaypoint: false,
    visibility: 'public',
  };
  return [
    { kind: 'workload', workload },
    { kind: 'service', service },
  ];
}
