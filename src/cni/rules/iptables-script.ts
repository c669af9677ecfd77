/** The rules inside a pod as input of iptables-restore, the same as nft-script.ts. Each table is one transaction. */
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

export type Family = 'IPv4' | 'IPv6';
type Table = 'raw' | 'mangle' | 'nat';

/** Our chain for each built-in chain that jumps to it; Istio's names, so that an agent of either kind finds what the other left. */
const chains: Readonly<Record<Table, Readonly<Record<string, string>>>> = {
  raw: { PREROUTING: 'ISTIO_PRERT', OUTPUT: 'ISTIO_OUTPUT' },
  mangle: { PREROUTING: 'ISTIO_PRERT', OUTPUT: 'ISTIO_OUTPUT', POSTROUTING: 'ISTIO_POSTRT' },
  nat: { PREROUTING: 'ISTIO_PRERT', OUTPUT: 'ISTIO_OUTPUT' },
};
const tables: readonly Table[] = ['raw', 'mangle', 'nat'];

const inbound = '-A ISTIO_PRERT';
const outbound = '-A ISTIO_OUTPUT';
const syn = '-p tcp --tcp-flags FIN,SYN,RST,ACK SYN';
const notSyn = '-p tcp ! --tcp-flags FIN,SYN,RST,ACK SYN';
const plain = `-m mark --mark ${hex(wellKnownMark)}/${hex(markMask)}`;
const notPlain = `-m mark ! --mark ${hex(wellKnownMark)}/${hex(markMask)}`;

/** What becomes of packets that the mesh leaves alone, and of those that it wants. */
interface Verdicts {
  readonly pass: string;
  readonly take: (port: number) => string;
}
const redirect: Verdicts = { pass: '-j ACCEPT', take: (port) => `-j REDIRECT --to-ports ${port}` };
/** At the end of a chain of which the rest of the table follows. */
const drop: Verdicts = { pass: '-j RETURN', take: () => '-j DROP' };

/** `missingJumps`: built-in chains, as `TABLE CHAIN`, that do not jump to ours yet: a second jump would run the rules twice. */
export function iptablesRedirectScript(rules: PodRuleSet, family: Family, missingJumps: ReadonlySet<string>): string {
  return scriptOf(
    {
      raw: rules.dns.kind === 'off' ? [] : rawRules(rules),
      mangle: [
        ...mangleRules(rules),
        ...notRedirectable(inbound),
        ...inboundRules(rules, family, drop),
        ...notRedirectable(outbound),
        ...outboundRules(rules, family, drop, []),
      ],
      nat: [
        ...inboundRules(rules, family, redirect),
        ...outboundRules(rules, family, redirect, dnsRules(rules, family)),
      ],
    },
    missingJumps,
  );
}

/** Only SYN packets that address translation does not look at get past these: see nft-script.ts. */
function notRedirectable(chain: string): string[] {
  return [
    `${chain} ! -p tcp -j RETURN`,
    `${chain} ${notSyn} -j RETURN`,
    `${chain} -m conntrack --ctstate DNAT -j RETURN`,
    `${chain} -m conntrack ! --ctstatus CONFIRMED -j RETURN`,
  ];
}

/** New connections go straight, proxied ones go on. */
export function iptablesReleaseScript(rules: Pick<PodRuleSet, 'mark'>, missingJumps: ReadonlySet<string>): string {
  return scriptOf({ raw: [], mangle: mangleRules({ mark: rules.mark, plainMark: true }), nat: [] }, missingJumps);
}

/** The built-in chains that do not jump to ours, by what iptables-save prints. */
export function missingJumps(saved: string): Set<string> {
  const missing = new Set(eachJump().map(({ table, from }) => `${table} ${from}`));
  let table = '';
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    const jump = /^-A (\S+) -j (ISTIO_\S+)$/.exec(line);
    if (jump && chains[table as Table]?.[jump[1] ?? ''] === jump[2]) missing.delete(`${table} ${jump[1]}`);
  }
  return missing;
}

/** Deletes the jumps, then the chains; each command may fail because there is nothing to delete. */
export function iptablesRemoveCommands(): readonly (readonly string[])[] {
  return eachJump().flatMap(({ table, from, to }) => [
    ['-t', table, '-D', from, '-j', to],
    ['-t', table, '-F', to],
    ['-t', table, '-X', to],
  ]);
}

/** Whether rules of ours, or of an agent of Istio's, are there. */
export function hasIptablesRules(saved: string): boolean {
  return /^:ISTIO_(PRERT|OUTPUT) /m.test(saved);
}

function eachJump(): { table: Table; from: string; to: string }[] {
  return tables.flatMap((table) => Object.entries(chains[table]).map(([from, to]) => ({ table, from, to })));
}

function scriptOf(rules: Readonly<Record<Table, readonly string[]>>, missing: ReadonlySet<string>): string {
  // The return path first, the redirection last.
  return tables
    .map((table) => {
      const declared = Object.values(chains[table]).map((name) => `:${name} - [0:0]`);
      const jumps = Object.entries(chains[table])
        .filter(([from]) => missing.has(`${table} ${from}`))
        .map(([from, to]) => `-A ${from} -j ${to}`);
      return [`*${table}`, ...declared, ...jumps, ...rules[table], 'COMMIT', ''].join('\n');
    })
    .join('');
}

function rawRules({ mark, plainMark }: PodRuleSet): string[] {
  const own = [`-m mark --mark ${hex(mark)}`, ...(plainMark ? [plain] : [])];
  return [
    `${inbound} ! -i lo -p udp --sport 53 -j CT --zone 1`,
    ...own.map((match) => `${outbound} -p udp --dport 53 ${match} -j CT --zone 1`),
  ];
}

function mangleRules({ mark, plainMark }: Pick<PodRuleSet, 'mark' | 'plainMark'>): string[] {
  const returns = `-j CONNMARK --set-xmark ${hex(returnMark)}/${hex(markMask)}`;
  const limit = `-m hashlimit --hashlimit-name ambit-marks --hashlimit-above ${foreignMarksPerSecond}/sec --hashlimit-burst ${foreignMarkBurst}`;
  return [
    ...(plainMark ? [`${inbound} ${plain} ${returns}`] : []),
    `${outbound} -m conntrack --ctstate NEW -m mark ! --mark 0 -m mark ! --mark ${hex(mark)} ${plainMark ? `${notPlain} ` : ''}${limit} -j DROP`,
    `${outbound} -o lo -m conntrack --ctdir ORIGINAL -m mark --mark ${hex(mark)} ${returns}`,
    `${outbound} -m conntrack --ctdir REPLY -m connmark --mark ${hex(returnMark)}/${hex(markMask)} -j CONNMARK --restore-mark`,
    `-A ISTIO_POSTRT -m mark --mark ${hex(mark)} -j MARK --set-xmark 0x0/0xffffffff`,
  ];
}

function inboundRules(
  { probeIp4, probeIp6, probesFrom, capture }: PodRuleSet,
  family: Family,
  { pass, take }: Verdicts,
): string[] {
  const rules: string[] = [];
  for (const name of capture.virtualInterfaces) {
    rules.push(`${inbound} -i ${name} ${syn} ${take(outboundPort)}`, `${inbound} -i ${name} ${pass}`);
  }
  if (capture.bypassInbound) return rules;
  rules.push(`${inbound} -s ${family === 'IPv4' ? probeIp4 : probeIp6} ${pass}`);
  for (const ip of (probesFrom?.ips ?? []).filter((each) => isOf(family, each))) {
    for (const port of probesFrom?.ports ?? []) rules.push(`${inbound} -s ${ip} -p tcp --dport ${port} ${pass}`);
  }
  rules.push(`${inbound} -i lo ${pass}`);
  for (const name of capture.excludedInterfaces) rules.push(`${inbound} -i ${name} ${pass}`);
  for (const port of [hbonePort, ...capture.excludedInboundPorts])
    rules.push(`${inbound} -p tcp --dport ${port} ${pass}`);
  const taken = take(plaintextPort);
  if (capture.inboundPorts === 'all') rules.push(`${inbound} ${syn} ${taken}`);
  else for (const port of capture.inboundPorts) rules.push(`${inbound} ${syn} --dport ${port} ${taken}`);
  return rules;
}

function outboundRules(rules: PodRuleSet, family: Family, { pass, take }: Verdicts, dns: readonly string[]): string[] {
  const { probeIp4, probeIp6, mark, plainMark, capture } = rules;
  const lines = [
    `${outbound} -m mark --mark ${hex(mark)} ${pass}`,
    ...(plainMark
      ? [`${outbound} ${plain} ${pass}`, `${outbound} -m mark --mark ${hex(returnMark)}/${hex(markMask)} ${pass}`]
      : []),
    `${outbound} -d ${family === 'IPv4' ? probeIp4 : probeIp6} ${pass}`,
    ...dns,
    `${outbound} -o lo ${pass}`,
  ];
  for (const name of capture.excludedInterfaces) lines.push(`${outbound} -o ${name} ${pass}`);
  for (const range of capture.excludedOutboundRanges.filter((each) => isOf(family, each)))
    lines.push(`${outbound} -d ${range} ${pass}`);
  for (const port of capture.excludedOutboundPorts) lines.push(`${outbound} -p tcp --dport ${port} ${pass}`);
  const taken = take(outboundPort);
  if (capture.outboundRanges === 'all') return [...lines, `${outbound} ${syn} ${taken}`];
  for (const port of capture.outboundPorts) lines.push(`${outbound} ${syn} --dport ${port} ${taken}`);
  for (const range of capture.outboundRanges.filter((each) => isOf(family, each)))
    lines.push(`${outbound} ${syn} -d ${range} ${taken}`);
  return lines;
}

function dnsRules({ dns }: PodRuleSet, family: Family): string[] {
  const redirects = (match: string, port: number): string[] => [
    `${outbound} ! -o lo ${match}-p udp --dport 53 -j REDIRECT --to-ports ${port}`,
    `${outbound} ! -o lo ${match}${syn} --dport 53 -j REDIRECT --to-ports ${port}`,
  ];
  switch (dns.kind) {
    case 'off':
      return [];
    case 'everything':
      return redirects('', dnsPort);
    case 'nameservers':
      return dns.nameservers.flatMap((ip, i) => (isOf(family, ip) ? redirects(`-d ${ip} `, dnsPort + i) : []));
  }
}

function isOf(family: Family, address: string): boolean {
  return address.includes(':') === (family === 'IPv6');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
