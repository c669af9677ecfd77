/** Pure: Services and their ready endpoints to the nftables script that makes ClusterIPs work for pods outside the mesh. */
import type { EndpointSlice, Service, TransportProtocol } from '../../api/index.ts';
import { serviceNameLabel } from '../../api/index.ts';
import { podCidr, podGateway, serviceCidr } from './addresses.ts';
import { cidrContains, parseCidr, tryParseIp } from '../../lib/ip.ts';

export const serviceTable = 'ambit-services';

export interface ServiceRulesInput {
  readonly nodeIndex: number;
  readonly services: Iterable<Service>;
  readonly slices: Iterable<EndpointSlice>;
}

interface Target {
  readonly ip: string;
  readonly port: number;
}

interface Rule {
  readonly clusterIp: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
  readonly targets: readonly Target[];
}

/**
 * One transaction that replaces table `inet ambit-services`. Each new connection to ClusterIP:port goes to a ready
 * endpoint at random; without one, and on a port that no Service has, it is refused (TCP reset, else ICMP). A pod that
 * reaches itself through a ClusterIP comes from the node's gateway address, because its own would never route back.
 */
export function planServiceRules(input: ServiceRulesInput): string {
  const rules = collectRules(input);
  const served = rules.filter((rule) => rule.targets.length > 0);
  const hairpins = localTargets(rules, input.nodeIndex);
  const lines = [
    `table inet ${serviceTable} {`,
    '}',
    `delete table inet ${serviceTable}`,
    `table inet ${serviceTable} {`,
    '  map ports {',
    '    type ipv4_addr . inet_proto . inet_service : verdict',
    ...elements(served.map((rule, i) => `${rule.clusterIp} . ${rule.protocol} . ${rule.port} : goto service-${i}`)),
    '  }',
    '  set hairpins {',
    '    type ipv4_addr . ipv4_addr',
    ...elements(hairpins.map((ip) => `${ip} . ${ip}`)),
    '  }',
  ];
  served.forEach((rule, i) => {
    lines.push(
      `  chain service-${i} {`,
      `    meta l4proto ${rule.protocol} dnat ip to ${destination(rule.targets)}`,
      '  }',
    );
  });
  lines.push(
    ...chain('prerouting', 'type nat hook prerouting priority dstnat', [
      'ip daddr . meta l4proto . th dport vmap @ports',
    ]),
    // nftables 1.0 knows the name "dstnat" only on the prerouting hook.
    ...chain('output', 'type nat hook output priority -100', ['ip daddr . meta l4proto . th dport vmap @ports']),
    ...chain('postrouting', 'type nat hook postrouting priority srcnat', [
      `ct status dnat ip saddr . ip daddr @hairpins snat ip to ${podGateway(input.nodeIndex)}`,
    ]),
  );
  const refusals = [`ip daddr ${serviceCidr} meta l4proto tcp reject with tcp reset`, `ip daddr ${serviceCidr} reject`];
  lines.push(
    ...chain('forward', 'type filter hook forward priority filter', refusals),
    ...chain('refuse-own', 'type filter hook output priority filter', refusals),
    '}',
  );
  return `${lines.join('\n')}\n`;
}

function collectRules(input: ServiceRulesInput): Rule[] {
  const slicesOf = new Map<string, EndpointSlice[]>();
  for (const slice of input.slices) {
    const service = slice.metadata.labels?.[serviceNameLabel];
    if (service === undefined || slice.addressType !== 'IPv4') continue;
    const key = `${slice.metadata.namespace}/${service}`;
    const known = slicesOf.get(key);
    if (known) known.push(slice);
    else slicesOf.set(key, [slice]);
  }
  const rules: Rule[] = [];
  const seen = new Set<string>();
  for (const service of input.services) {
    const clusterIp = service.spec?.clusterIP;
    if (clusterIp === undefined || tryParseIp(clusterIp)?.length !== 4) continue;
    const slices = slicesOf.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    for (const port of service.spec?.ports ?? []) {
      const protocol = protocolName(port.protocol);
      const key = `${clusterIp} ${protocol} ${port.port}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const targets = slices.flatMap((slice) => targetsOf(slice, port.name ?? '', protocol));
      rules.push({ clusterIp, protocol, port: port.port, targets: distinct(targets) });
    }
  }
  return rules;
}

function targetsOf(slice: EndpointSlice, portName: string, protocol: Rule['protocol']): Target[] {
  const port = slice.ports?.find(
    (each) => (each.name ?? '') === portName && protocolName(each.protocol) === protocol,
  )?.port;
  if (port === undefined) return [];
  return slice.endpoints
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .flatMap((endpoint) => endpoint.addresses.slice(0, 1))
    .filter((ip) => tryParseIp(ip)?.length === 4)
    .map((ip) => ({ ip, port }));
}

function distinct(targets: readonly Target[]): Target[] {
  return [...new Map(targets.map((target) => [`${target.ip}:${target.port}`, target])).values()];
}

function destination(targets: readonly Target[]): string {
  const [only] = targets;
  if (targets.length === 1 && only) return `${only.ip}:${only.port}`;
  const entries = targets.map((target, i) => `${i} : ${target.ip} . ${target.port}`);
  return `numgen random mod ${targets.length} map { ${entries.join(', ')} }`;
}

function localTargets(rules: readonly Rule[], nodeIndex: number): string[] {
  const own = parseCidr(podCidr(nodeIndex));
  const ips = new Set<string>();
  for (const { ip } of rules.flatMap((rule) => rule.targets)) {
    const bytes = tryParseIp(ip);
    if (bytes && cidrContains(own, bytes)) ips.add(ip);
  }
  return [...ips].sort();
}

function elements(all: readonly string[]): string[] {
  return all.length === 0 ? [] : [`    elements = { ${all.join(',\n      ')} }`];
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, `    ${hook}; policy accept;`, ...rules.map((rule) => `    ${rule}`), '  }'];
}

function protocolName(protocol: TransportProtocol | undefined): Rule['protocol'] {
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
