/** Pure: where connections to a Service's port may go, and which of these places are on the node itself. */
import type { EndpointSlice, Service, ServicePortSpec, TransportProtocol } from '../../api/index.ts';
import { cidrContains, parseCidr, tryParseIp, type Cidr } from '../../lib/ip.ts';
import {
  nodeAddress,
  nodeAddress6,
  nodeName,
  podCidr,
  podCidr6,
  podGateway,
  podGateway6,
  type IpFamily,
} from './addresses.ts';

/** Whose rules are made: a node's, or those of the bridge's namespace, which has no pods and is no node. */
export interface ServiceScope {
  readonly node?: { readonly name: string; readonly addresses: Readonly<Partial<Record<IpFamily, NodeAddresses>>> };
  readonly families: readonly IpFamily[];
}

export interface NodeAddresses {
  readonly address: string;
  readonly gateway: string;
  readonly podCidr: string;
}

export interface Target {
  readonly ip: string;
  readonly port: number;
  readonly isLocal: boolean;
}

export function nodeScope(index: number, families: readonly IpFamily[]): ServiceScope {
  const v4 = { address: nodeAddress(index), gateway: podGateway(index), podCidr: podCidr(index) };
  const v6 = { address: nodeAddress6(index), gateway: podGateway6(index), podCidr: podCidr6(index) };
  const addresses = { IPv4: v4, ...(families.includes('IPv6') ? { IPv6: v6 } : {}) };
  return { node: { name: nodeName(index), addresses }, families };
}

export interface EndpointQuestion {
  readonly service: Service;
  readonly slices: Iterable<EndpointSlice>;
  readonly port: ServicePortSpec;
  readonly family: IpFamily;
  readonly scope: ServiceScope;
}

/** Ready endpoints; where there are none, those that still serve while they end. Sorted, each once. */
export function targetsOf(question: EndpointQuestion): Target[] {
  const { slices, port, family, scope } = question;
  const addresses = scope.node?.addresses[family];
  const own = addresses === undefined ? undefined : parseCidr(addresses.podCidr);
  const ready = new Map<string, Target>();
  const ending = new Map<string, Target>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    const number = slice.ports?.find(
      (each) => (each.name ?? '') === (port.name ?? '') && protocolName(each.protocol) === protocolName(port.protocol),
    )?.port;
    if (number === undefined) continue;
    for (const { addresses: ips, conditions, nodeName: on } of slice.endpoints) {
      const isReady = conditions?.ready !== false;
      if (!isReady && !(conditions?.serving === true && conditions.terminating === true)) continue;
      const ip = ips[0] ?? '';
      const bytes = tryParseIp(ip);
      if (bytes?.length !== (family === 'IPv4' ? 4 : 16)) continue;
      const isLocal = scope.node !== undefined && (on === undefined ? isIn(own, bytes) : on === scope.node.name);
      (isReady ? ready : ending).set(`${ip} ${number}`, { ip, port: number, isLocal });
    }
  }
  const found = ready.size > 0 ? ready : ending;
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, target]) => target);
}

export function protocolName(protocol: TransportProtocol | undefined): 'tcp' | 'udp' | 'sctp' {
  switch (protocol) {
    case 'UDP':
      return 'udp';
    case 'SCTP':
      return 'sctp';
    case 'TCP':
    case undefined:
      return 'tcp';
  }
}

/** ClusterIPs of the family: none for a headless Service and one that has no address yet. */
export function clusterIpOf(service: Service, family: IpFamily): string | undefined {
  const { clusterIP, clusterIPs = clusterIP === undefined ? [] : [clusterIP] } = service.spec ?? {};
  return clusterIPs.find((ip) => familyOf(ip) === family);
}

/** Undefined for what is no address. */
export function familyOf(ip: string): IpFamily | undefined {
  const bytes = tryParseIp(ip);
  return bytes && (bytes.length === 4 ? 'IPv4' : 'IPv6');
}

function isIn(cidr: Cidr | undefined, bytes: Uint8Array): boolean {
  return cidr !== undefined && cidrContains(cidr, bytes);
}
