/** The rules inside a pod as nft scripts. Every script is one transaction and may run again. */
import {
  dnsPort,
  foreignMarkBurst,
  foreignMarksPerSecond,
  hbonePort,
  markMask,
  outboundPort,
  plaintextPort,
  returnMark,
  wellKnownMark,
  type PodRuleSet,
} from './pod-rule-set.ts';

export const podTable = 'istio-ambient';
const table = `inet ${podTable}`;

const opening = 'tcp flags & (fin|syn|rst|ack)';
const syn = `${opening} == syn`;
const plain = `meta mark & ${hex(markMask)} == ${hex(wellKnownMark)}`;

/** What becomes of packets that the mesh wants. */
type Take = (port: number) => string;
const redirect: Take = (port) => `redirect to :${port}`;
const drop: Take = () => 'drop';

/**
 * Redirects new connections only (SYN), so that those of before live on untouched. Replaces what was there in one step,
 * which proxied connections survive.
 */
export function nftRedirectScript(rules: PodRuleSet): string {
  return script([
    ...(rules.dns.kind === 'off' ? [] : rawChains(rules)),
    ...mangleChains(rules, {
      inbound: [...notRedirectable, ...inboundRules(rules, drop)],
      outbound: [...notRedirectable, ...outboundRules(rules, drop, [])],
    }),
    chain('prerouting-nat', 'type nat hook prerouting priority dstnat', inboundRules(rules, redirect)),
    chain('output-nat', 'type nat hook output priority -100', outboundRules(rules, redirect, dnsRules(rules))),
  ]);
}

/**
 * Address translation looks at the first packet of a connection alone, whatever it is: who sends a stray one ahead of the SYN, from
 * the same port, would not be redirected. Only such SYN packets get past these lines: not translated, though not the first.
 */
const notRedirectable = [
  'meta l4proto != tcp accept',
  `${opening} != syn accept`,
  'ct status & (confirmed | dnat) != confirmed accept',
];

/** New connections go straight, proxied ones go on: the nat chains stay, empty, because connections hang on them. */
export function nftReleaseScript(rules: Pick<PodRuleSet, 'mark'>): string {
  return script([
    ...mangleChains({ mark: rules.mark, plainMark: true }, { inbound: [], outbound: [] }),
    chain('prerouting-nat', 'type nat hook prerouting priority dstnat', []),
    chain('output-nat', 'type nat hook output priority -100', []),
  ]);
}

/** Takes everything away. Cuts connections that are still proxied. */
export function nftRemoveScript(): string {
  return `table ${table} { }
delete table ${table}
`;
}

/** Queries of the proxy have a connection table of their own: an application may use the same port towards the same resolver. */
function rawChains({ mark, plainMark }: PodRuleSet): string[] {
  const own = [`meta mark ${hex(mark)}`, ...(plainMark ? [plain] : [])];
  return [
    chain('prerouting-raw', 'type filter hook prerouting priority raw', ['iifname != "lo" udp sport 53 ct zone set 1']),
    chain(
      'output-raw',
      'type filter hook output priority raw',
      own.map((match) => `udp dport 53 ${match} ct zone set 1`),
    ),
  ];
}

/**
 * They bring the application's answers to foreign addresses back to the proxy: needed for as long as proxied connections live.
 * `last` are rules that follow.
 */
function mangleChains(
  { mark, plainMark }: Pick<PodRuleSet, 'mark' | 'plainMark'>,
  last: { readonly inbound: readonly string[]; readonly outbound: readonly string[] },
): string[] {
  const returns = `ct mark set ${hex(returnMark)}`;
  return [
    chain('prerouting-mangle', 'type filter hook prerouting priority mangle', [
      ...(plainMark ? [`${plain} ${returns}`] : []),
      ...last.inbound,
    ]),
    chain('output-mangle', 'type route hook output priority mangle', [
      `ct state new meta mark != { 0x0, ${hex(mark)} }${plainMark ? ` meta mark & ${hex(markMask)} != ${hex(wellKnownMark)}` : ''} limit rate over ${foreignMarksPerSecond}/second burst ${foreignMarkBurst} packets drop`,
      `oifname "lo" ct direction original meta mark ${hex(mark)} ${returns}`,
      `ct direction reply ct mark & ${hex(markMask)} == ${hex(returnMark)} meta mark set ct mark`,
      ...last.outbound,
    ]),
    // Who may capture packets may read their marks: nothing leaves with the secret on it.
    chain('postrouting-mangle', 'type filter hook postrouting priority mangle', [
      `meta mark ${hex(mark)} meta mark set 0x0`,
    ]),
  ];
}

function inboundRules({ probeIp4, probeIp6, probesFrom, capture }: PodRuleSet, take: Take): string[] {
  const rules: string[] = [];
  for (const name of capture.virtualInterfaces) {
    rules.push(`iifname "${name}" ${syn} ${take(outboundPort)}`, `iifname "${name}" accept`);
  }
  if (capture.bypassInbound) return rules;
  rules.push(`ip saddr ${probeIp4} accept`, `ip6 saddr ${probeIp6} accept`);
  if (probesFrom) {
    for (const ip of probesFrom.ips)
      rules.push(`${family(ip)} saddr ${ip} tcp dport { ${probesFrom.ports.join(', ')} } accept`);
  }
  rules.push('iifname "lo" accept');
  for (const name of capture.excludedInterfaces) rules.push(`iifname "${name}" accept`);
  const excluded = [hbonePort, ...capture.excludedInboundPorts].join(', ');
  const taken = `tcp dport != { ${excluded} } ${take(plaintextPort)}`;
  if (capture.inboundPorts === 'all') rules.push(`${syn} ${taken}`);
  else if (capture.inboundPorts.length > 0)
    rules.push(`${syn} tcp dport { ${capture.inboundPorts.join(', ')} } ${taken}`);
  return rules;
}

function outboundRules(rules: PodRuleSet, take: Take, dns: readonly string[]): string[] {
  const { probeIp4, probeIp6, mark, plainMark, capture } = rules;
  const lines = [
    `meta mark ${hex(mark)} accept`,
    ...(plainMark ? [`meta mark & ${hex(markMask)} == { ${hex(wellKnownMark)}, ${hex(returnMark)} } accept`] : []),
    `ip daddr ${probeIp4} accept`,
    `ip6 daddr ${probeIp6} accept`,
    ...dns,
    'oifname "lo" accept',
  ];
  for (const name of capture.excludedInterfaces) lines.push(`oifname "${name}" accept`);
  for (const range of capture.excludedOutboundRanges) lines.push(`${family(range)} daddr ${range} accept`);
  if (capture.excludedOutboundPorts.length > 0)
    lines.push(`tcp dport { ${capture.excludedOutboundPorts.join(', ')} } accept`);
  const taken = take(outboundPort);
  if (capture.outboundRanges === 'all') return [...lines, `${syn} ${taken}`];
  if (capture.outboundPorts.length > 0) lines.push(`${syn} tcp dport { ${capture.outboundPorts.join(', ')} } ${taken}`);
  for (const range of capture.outboundRanges) lines.push(`${family(range)} daddr ${range} ${syn} ${taken}`);
  return lines;
}

function dnsRules({ dns }: PodRuleSet): string[] {
  const redirects = (match: string, port: number): string[] => [
    `oifname != "lo" ${match}udp dport 53 redirect to :${port}`,
    `oifname != "lo" ${match}tcp dport 53 ${syn} redirect to :${port}`,
  ];
  switch (dns.kind) {
    case 'off':
      return [];
    case 'everything':
      return redirects('', dnsPort);
    case 'nameservers':
      return dns.nameservers.flatMap((ip, i) => redirects(`${family(ip)} daddr ${ip} `, dnsPort + i));
  }
}

function script(chains: readonly string[]): string {
  return `table ${table} { }
delete table ${table}
table ${table} {
${chains.join('\n')}
}
`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  return `  chain ${name} {
    ${hook}; policy accept;
${rules.map((rule) => `    ${rule}\n`).join('')}  }`;
}

function family(address: string): 'ip' | 'ip6' {
  return address.includes(':') ? 'ip6' : 'ip';
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
