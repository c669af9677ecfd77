/** Pure: one Service as pieces of an nftables table: map elements, chains and sets, each under a name of its own. */
import { createHash } from 'node:crypto';
import type { EndpointSlice, Service, ServicePortSpec } from '../../api/index.ts';
import { tryParseCidr } from '../../lib/ip.ts';
import type { IpFamily } from './addresses.ts';
import {
  clusterIpOf,
  familyOf,
  protocolName,
  targetsOf,
  type NodeAddresses,
  type ServiceScope,
  type Target,
} from './service-endpoints.ts';

/** What one Service adds to the table. */
export interface ServicePlan {
  /** `MAP KEY` to the chain that it leads to. */
  readonly elements: ReadonlyMap<string, string>;
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Sets of clients that keep their endpoint, by name. */
  readonly sets: ReadonlyMap<string, string>;
  /** `ADDRESS PORT` of endpoints that UDP flows may be bound to. */
  readonly udpTargets: ReadonlySet<string>;
}

/** Bit of packets whose answers must come back through this node. */
export const masqueradeMark = '0x4000';

const defaultAffinitySeconds = 10_800;

export interface PlanServiceInput {
  readonly service: Service;
  readonly slices: Iterable<EndpointSlice>;
  readonly scope: ServiceScope;
}

/**
 * A new connection goes to an endpoint at random, or by session affinity to that of the client's last connection within
 * the timeout. `internalTrafficPolicy: Local` knows the node's own endpoints alone; so does `externalTrafficPolicy: Local`
 * for NodePorts, load balancer and external addresses, except that the node's own pods go anywhere. A port without
 * endpoints adds nothing: it is refused.
 */
export function planService(input: PlanServiceInput): ServicePlan {
  const plan = { elements: new Map(), chains: new Map(), sets: new Map(), udpTargets: new Set<string>() };
  if (input.service.spec?.type === 'ExternalName') return plan;
  const slices = [...input.slices];
  for (const family of input.scope.families) {
    for (const port of input.service.spec?.ports ?? []) planPort({ ...input, slices }, family, port, plan);
  }
  return plan;
}

interface Draft extends ServicePlan {
  readonly elements: Map<string, string>;
  readonly chains: Map<string, readonly string[]>;
  readonly sets: Map<string, string>;
  readonly udpTargets: Set<string>;
}

function planPort(input: PlanServiceInput, family: IpFamily, port: ServicePortSpec, plan: Draft): void {
  const { service, scope } = input;
  const all = targetsOf({ ...input, port, family });
  if (all.length === 0) return;
  const protocol = protocolName(port.protocol);
  const { metadata, spec = {} } = service;
  const id = digest(`${metadata.namespace}/${metadata.name}/${family}/${protocol}/${port.port}`);
  const local = scope.node ? all.filter((target) => target.isLocal) : all;
  const dispatch = (name: string, targets: readonly Target[]): readonly string[] =>
    dispatchRules({ name, id, family, protocol, targets, timeoutSeconds: affinitySeconds(service) }, plan);
  const suffix = family === 'IPv4' ? '4' : '6';
  const at = (ip: string): string => `ports${suffix} ${ip} . ${protocol} . ${port.port}`;
  if (protocol === 'udp') for (const { ip, port: number } of all) plan.udpTargets.add(`${ip} ${number}`);

  const clusterIp = clusterIpOf(service, family);
  const inside = spec.internalTrafficPolicy === 'Local' ? local : all;
  if (clusterIp !== undefined && inside.length > 0) {
    plan.chains.set(`svc-${id}`, dispatch(`svc-${id}`, inside));
    plan.elements.set(at(clusterIp), `svc-${id}`);
  }

  const outside = outsideAddresses(service, family);
  const nodePort = scope.node?.addresses[family] === undefined ? undefined : port.nodePort;
  if (outside.direct.length + outside.balanced.length === 0 && !nodePort) return;
  plan.chains.set(`all-${id}`, dispatch(`all-${id}`, all));
  const isLocalOnly = spec.externalTrafficPolicy === 'Local';
  plan.chains.set(
    `ext-${id}`,
    externalRules(family, id, scope.node?.addresses[family], isLocalOnly ? dispatch(`ext-${id}`, local) : undefined),
  );
  for (const ip of outside.direct) plan.elements.set(at(ip), `ext-${id}`);
  const ranges = (spec.loadBalancerSourceRanges ?? []).filter((range) => cidrFamily(range) === family);
  const isLimited = (spec.loadBalancerSourceRanges ?? []).length > 0;
  if (isLimited && outside.balanced.length > 0) {
    plan.chains.set(`lb-${id}`, [
      ...ranges.map((range) => `${keyword(family)} saddr ${range.trim()} goto ext-${id}`),
      'drop',
    ]);
  }
  for (const ip of outside.balanced) plan.elements.set(at(ip), isLimited ? `lb-${id}` : `ext-${id}`);
  if (nodePort) plan.elements.set(`node-ports${suffix} ${protocol} . ${nodePort}`, `ext-${id}`);
}

/** Rules for callers that may be elsewhere: answers of endpoints on other nodes must come back through this one. */
function externalRules(
  family: IpFamily,
  id: string,
  node: NodeAddresses | undefined,
  localRules: readonly string[] | undefined,
): string[] {
  if (!node) return [`goto all-${id}`];
  const own = `{ ${node.podCidr}, ${node.address} }`;
  if (localRules) return [`${keyword(family)} saddr ${own} goto all-${id}`, ...localRules];
  return [`${keyword(family)} saddr != ${own} meta mark set meta mark | ${masqueradeMark}`, `goto all-${id}`];
}

interface Dispatch {
  readonly name: string;
  readonly id: string;
  readonly family: IpFamily;
  readonly protocol: string;
  readonly targets: readonly Target[];
  readonly timeoutSeconds: number | undefined;
}

function dispatchRules(dispatch: Dispatch, plan: Draft): string[] {
  const { id, family, protocol, targets, timeoutSeconds } = dispatch;
  const rewrite = `meta l4proto ${protocol} dnat ${keyword(family)} to`;
  if (targets.length === 0) return [];
  if (timeoutSeconds === undefined) return [`${rewrite} ${destination(targets)}`];
  const chains = targets.map((target) => {
    const key = digest(`${id} ${target.ip} ${target.port}`);
    const type = family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr';
    // An endpoint that goes takes its set along, and with it what its clients were bound to.
    plan.sets.set(`aff-${key}`, `type ${type}; size 65535; flags dynamic,timeout; timeout ${timeoutSeconds}s;`);
    plan.chains.set(`ep-${key}`, [
      `update @aff-${key} { ${keyword(family)} saddr }`,
      `${rewrite} ${destination([target])}`,
    ]);
    return key;
  });
  const choice = chains.map((key, i) => `${i} : goto ep-${key}`).join(', ');
  return [
    ...chains.map((key) => `${keyword(family)} saddr @aff-${key} goto ep-${key}`),
    `numgen random mod ${targets.length} vmap { ${choice} }`,
  ];
}

function destination(targets: readonly Target[]): string {
  const [only] = targets;
  if (targets.length === 1 && only) {
    return only.ip.includes(':') ? `[${only.ip}]:${only.port}` : `${only.ip}:${only.port}`;
  }
  const entries = targets.map((target, i) => `${i} : ${target.ip} . ${target.port}`);
  return `numgen random mod ${targets.length} map { ${entries.join(', ')} }`;
}

function affinitySeconds({ spec }: Service): number | undefined {
  if (spec?.sessionAffinity !== 'ClientIP') return undefined;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds;
}

function outsideAddresses({ spec, status }: Service, family: IpFamily): { direct: string[]; balanced: string[] } {
  const isBalanced = spec?.type === 'LoadBalancer';
  const ingress = isBalanced ? (status?.loadBalancer?.ingress ?? []) : [];
  return {
    direct: (spec?.externalIPs ?? []).filter((ip) => familyOf(ip) === family),
    balanced: ingress.flatMap(({ ip }) => (ip !== undefined && familyOf(ip) === family ? [ip] : [])),
  };
}

function cidrFamily(text: string): IpFamily | undefined {
  const cidr = tryParseCidr(text.trim());
  return cidr && (cidr.address.length === 4 ? 'IPv4' : 'IPv6');
}

function keyword(family: IpFamily): 'ip' | 'ip6' {
  return family === 'IPv4' ? 'ip' : 'ip6';
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
