/** Pure: the nftables table that makes Services work for whoever ztunnel does not serve, whole or as one change of it. */
import { loadBalancerCidr, loadBalancerCidr6, serviceCidr, serviceCidr6, type IpFamily } from './addresses.ts';
import type { ServiceScope } from './service-endpoints.ts';
import { masqueradeMark, type ServicePlan } from './service-plan.ts';

const serviceTable = 'ambit-services';
const table = `inet ${serviceTable}`;

/**
 * The script that replaces the table by one without Services. What is left of addresses for Services after the rules is
 * refused (TCP reset, else ICMP). A pod that reaches itself through a Service comes from the node's gateway address,
 * because its own would never route back.
 */
export function emptyTableScript(scope: ServiceScope): string {
  const lookups: string[] = [];
  const sources: string[] = [];
  const refusals: string[] = [];
  const maps: string[] = [];
  for (const family of scope.families) {
    const { ip, type, suffix, cidrs } = words[family];
    const node = scope.node?.addresses[family];
    maps.push(`  map ports${suffix} {`, `    type ${type} . inet_proto . inet_service : verdict`, '  }');
    lookups.push(`${ip} daddr . meta l4proto . th dport vmap @ports${suffix}`);
    if (node) {
      const prefix = node.gateway.slice(0, -1);
      const own = Array.from({ length: 253 }, (_, i) => `${prefix}${i + 2} . ${prefix}${i + 2}`);
      maps.push(`  map node-ports${suffix} {`, '    type inet_proto . inet_service : verdict', '  }');
      maps.push(
        `  set hairpins${suffix} {`,
        `    type ${type} . ${type}`,
        `    elements = { ${own.join(', ')} }`,
        '  }',
      );
      lookups.push(`${ip} daddr ${node.address} meta l4proto . th dport vmap @node-ports${suffix}`);
      sources.push(`ct status dnat ${ip} saddr . ${ip} daddr @hairpins${suffix} snat ${ip} to ${node.gateway}`);
      sources.push(
        `meta nfproto ${family.toLowerCase()} meta mark & ${masqueradeMark} == ${masqueradeMark} snat ${ip} to ${node.address}`,
      );
    }
    refusals.push(`${ip} daddr { ${cidrs} } meta l4proto tcp reject with tcp reset`, `${ip} daddr { ${cidrs} } reject`);
  }
  const lines = [
    `table ${table} {`,
    '}',
    `delete table ${table}`,
    `table ${table} {`,
    ...maps,
    '  chain services {',
    ...lookups.map((rule) => `    ${rule}`),
    '  }',
    ...chain('prerouting', 'type nat hook prerouting priority dstnat', ['jump services']),
    // nftables 1.0 knows the name "dstnat" only on the prerouting hook.
    ...chain('output', 'type nat hook output priority -100', ['jump services']),
    ...chain('postrouting', 'type nat hook postrouting priority srcnat', sources),
    ...chain('forward', 'type filter hook forward priority filter', refusals),
    ...chain('refuse-own', 'type filter hook output priority filter', refusals),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

export interface PlanChange {
  readonly before?: ServicePlan;
  readonly after?: ServicePlan;
}

/** The commands that turn the plans `before` into those `after`, in an order that one transaction accepts. "" when nothing changes. */
export function changeScript(changes: readonly PlanChange[]): string {
  const made: string[] = [];
  const emptied: string[] = [];
  const unlinked: string[] = [];
  const removed: string[] = [];
  const filled: string[] = [];
  const linked: string[] = [];
  for (const { before = nothing, after = nothing } of changes) {
    for (const [name, definition] of after.sets) {
      const old = before.sets.get(name);
      if (old === definition) continue;
      // A set of another timeout takes the place of the old one: whoever refers to it is written anew too.
      if (old !== undefined) removed.push(`delete set ${table} ${name}`);
      (old === undefined ? made : removed).push(`add set ${table} ${name} { ${definition} }`);
    }
    const isNewSet = (rules: readonly string[]): boolean =>
      rules.some((rule) => {
        const [, name] = /@(aff-[0-9a-f]+)/.exec(rule) ?? [];
        return name !== undefined && before.sets.get(name) !== after.sets.get(name);
      });
    for (const [name, rules] of after.chains) {
      const old = before.chains.get(name);
      if (old !== undefined && !isNewSet(rules) && same(old, rules)) continue;
      if (old === undefined) made.push(`add chain ${table} ${name}`);
      else emptied.push(`flush chain ${table} ${name}`);
      filled.push(...rules.map((rule) => `add rule ${table} ${name} ${rule}`));
    }
    for (const [key, target] of before.elements) {
      if (after.elements.get(key) !== target) unlinked.push(`delete element ${table} ${elementOf(key)}`);
    }
    for (const name of before.chains.keys()) {
      if (after.chains.has(name)) continue;
      emptied.push(`flush chain ${table} ${name}`);
      removed.push(`delete chain ${table} ${name}`);
    }
    for (const name of before.sets.keys()) if (!after.sets.has(name)) removed.push(`delete set ${table} ${name}`);
    for (const [key, target] of after.elements) {
      if (before.elements.get(key) !== target) linked.push(`add element ${table} ${elementOf(key, target)}`);
    }
  }
  const lines = [...made, ...emptied, ...unlinked, ...removed, ...filled, ...linked];
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

const nothing: ServicePlan = { elements: new Map(), chains: new Map(), sets: new Map(), udpTargets: new Set() };

const words: Record<IpFamily, { ip: 'ip' | 'ip6'; type: string; suffix: string; cidrs: string }> = {
  IPv4: { ip: 'ip', type: 'ipv4_addr', suffix: '4', cidrs: `${serviceCidr}, ${loadBalancerCidr}` },
  IPv6: { ip: 'ip6', type: 'ipv6_addr', suffix: '6', cidrs: `${serviceCidr6}, ${loadBalancerCidr6}` },
};

function elementOf(key: string, target?: string): string {
  const space = key.indexOf(' ');
  const entry = target === undefined ? key.slice(space + 1) : `${key.slice(space + 1)} : goto ${target}`;
  return `${key.slice(0, space)} { ${entry} }`;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((rule, i) => rule === b[i]);
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, `    ${hook}; policy accept;`, ...rules.map((rule) => `    ${rule}`), '  }'];
}
