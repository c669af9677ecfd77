/** The address plan of a local mesh: who has which address. IPv6 follows IPv4 number by number. */
import { AmbitError } from '../../lib/errors.ts';

export type IpFamily = 'IPv4' | 'IPv6';

/** Joins the nodes in init's network namespace; the API server and the control plane listen on its address. */
export const bridgeName = 'ambit0';
export const bridgeAddress = '172.30.0.1';
export const bridgePrefixLength = 16;
export const bridgeAddress6 = 'fd00:172:30::1';
export const bridgePrefixLength6 = 48;

export const serviceCidr = '10.96.0.0/16';
export const serviceCidr6 = 'fd00:10:96::/112';
/** Addresses of LoadBalancer Services, on the bridge's network. */
export const loadBalancerCidr = '172.30.2.0/24';
export const loadBalancerCidr6 = 'fd00:172:30:2::/112';
/** Every address of the mesh lies in one of these. */
export const meshCidrs: readonly string[] = ['10.244.0.0/16', serviceCidr, '172.30.0.0/16'];
export const meshCidrs6: readonly string[] = ['fd00:244::/32', serviceCidr6, 'fd00:172:30::/48'];

/** Nodes are numbered from 1. */
export const maxNodes = 250;

/** Name of the link that carries the node's gateway address. */
export const gatewayLink = 'ambit-gw';

/** Where named network namespaces live. */
export const netnsFolder = '/run/netns';

export function nodeName(index: number): string {
  return `node-${checkIndex(index)}`;
}

/** The node's address on the bridge: its InternalIP. */
export function nodeAddress(index: number): string {
  return `172.30.1.${checkIndex(index)}`;
}

export function podCidr(index: number): string {
  return `10.244.${checkIndex(index)}.0/24`;
}

/** First hop and name server of the node's pods. */
export function podGateway(index: number): string {
  return `10.244.${checkIndex(index)}.1`;
}

/** `host` is 2 to 254. */
export function podAddress(index: number, host: number): string {
  return `10.244.${checkIndex(index)}.${host}`;
}

/** The decimal numbers of the IPv4 plan, read as hexadecimal: `172.30.1.12` is `fd00:172:30:1::12`. */
export function nodeAddress6(index: number): string {
  return `fd00:172:30:1::${checkIndex(index)}`;
}

export function podCidr6(index: number): string {
  return `fd00:244:${checkIndex(index)}::/64`;
}

export function podGateway6(index: number): string {
  return `fd00:244:${checkIndex(index)}::1`;
}

/** `host` is 2 to 254. */
export function podAddress6(index: number, host: number): string {
  return `fd00:244:${checkIndex(index)}::${host}`;
}

export function netnsPath(name: string): string {
  return `${netnsFolder}/${name}`;
}

function checkIndex(index: number): number {
  if (Number.isInteger(index) && index >= 1 && index <= maxNodes) return index;
  throw new AmbitError(`Cannot number a node ${index}: 1 to ${maxNodes} are possible`, {
    code: 'network.node-index',
    blame: 'downstream',
  });
}
