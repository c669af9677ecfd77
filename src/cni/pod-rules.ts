/** The packet rules inside a pod's network namespace, as nft scripts. Every script is one transaction and may run again. */

export const podTable = 'istio-ambient';
const table = `inet ${podTable}`;

/** Marks of ztunnel's own packets, and of connections whose answers must come back to it. */
const ownMark = '0x539';
const returnMark = '0x111';

export interface PodRulesOptions {
  /** Probes arrive from these addresses, and are not captured. */
  readonly probeIp4: string;
  readonly probeIp6: string;
  /** Leave plaintext to the pod alone. */
  readonly bypassInbound: boolean;
}

const redirectIn = 'redirect to :15006';
const redirectOut = 'redirect to :15001';

/**
 * Redirects new connections only (SYN), so that those of before live on untouched. Replaces what was there in one step,
 * which proxied connections survive.
 */
export function redirectScript(options: PodRulesOptions): string {
  const { probeIp4, probeIp6, bypassInbound } = options;
  const syn = 'tcp flags & (fin|syn|rst|ack) == syn';
  const inbound = bypassInbound ? '' : `    ${syn} tcp dport != 15008 meta mark & 0xfff != ${ownMark} ${redirectIn}\n`;
  return `table ${table} { }
delete table ${table}
table ${table} {
${mangleChains}
  chain prerouting-nat {
    type nat hook prerouting priority dstnat; policy accept;
    ip saddr ${probeIp4} accept
    ip6 saddr ${probeIp6} accept
    iifname "lo" accept
${inbound}  }
  chain output-nat {
    type nat hook output priority -100; policy accept;
    meta mark & 0xfff == { ${ownMark}, ${returnMark} } accept
    ip daddr ${probeIp4} accept
    ip6 daddr ${probeIp6} accept
    oifname "lo" accept
    ${syn} ${redirectOut}
  }
}
`;
}

/** They bring the application's answers to foreign addresses back to ztunnel: needed for as long as proxied connections live. */
const mangleChains = `  chain prerouting-mangle {
    type filter hook prerouting priority mangle; policy accept;
    meta mark & 0xfff == ${ownMark} ct mark set ${returnMark}
  }
  chain output-mangle {
    type route hook output priority mangle; policy accept;
    ct mark & 0xfff == ${returnMark} meta mark set ct mark
  }`;

/** New connections go straight, proxied ones go on: the nat chains stay, empty, because connections hang on them. */
export function releaseScript(): string {
  return `table ${table} {
${mangleChains}
  chain prerouting-nat {
    type nat hook prerouting priority dstnat; policy accept;
  }
  chain output-nat {
    type nat hook output priority -100; policy accept;
  }
}
flush table ${table}
table ${table} {
${mangleChains}
}
`;
}

/** Takes everything away. Cuts connections that are still proxied. */
export function removeScript(): string {
  return `table ${table} { }
delete table ${table}
`;
}
