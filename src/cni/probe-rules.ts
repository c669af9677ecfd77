/** Lets the node's probes into pods that refuse plaintext: in the node's namespace their source becomes a marker address. */
import { applyNft } from '../net/index.ts';

export const hostTable = 'ambit-host';
export const defaultProbeIp4 = '169.254.7.127';
export const defaultProbeIp6 = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';

export interface ProbeRulesOptions {
  readonly probeIp4: string;
  readonly probeIp6: string;
  /** Absent: the process's own namespace, which is the node's. */
  readonly netns?: number;
}

/**
 * The table `inet ambit-host` with the addresses of enrolled pods. What connects from the node itself (it has a socket
 * here; forwarded packets have none) to one of them comes from the marker address, which the pod's rules leave alone.
 */
export class ProbeRules {
  readonly #options: ProbeRulesOptions;
  /** Address to pod UID: an address that another pod took over is not removed by the one that had it before. */
  readonly #owners = new Map<string, string>();
  /** The table does not say yet what `#owners` says. */
  #behind = true;
  #applying: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: ProbeRulesOptions) {
    this.#options = options;
  }

  /** Resolves once the addresses are in the rules. After a failure the next call tries again. */
  async set(uid: string, ips: readonly string[]): Promise<void> {
    for (const [ip, owner] of this.#owners) {
      if (owner !== uid || ips.includes(ip)) continue;
      this.#owners.delete(ip);
      this.#behind = true;
    }
    for (const ip of ips) {
      if (this.#owners.get(ip) === uid) continue;
      this.#owners.set(ip, uid);
      this.#behind = true;
    }
    if (this.#behind) await this.apply();
    else await this.#applying;
  }

  async remove(uid: string): Promise<void> {
    await this.set(uid, []);
  }

  /** Writes the whole table, at most one write at a time and one waiting: many pods at once share it. */
  apply(): Promise<void> {
    if (!this.#applying) {
      this.#applying = this.#write().finally(() => (this.#applying = undefined));
      return this.#applying;
    }
    this.#next ??= this.#applying
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.apply();
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const { netns } = this.#options;
    const script = probeScript([...this.#owners.keys()], this.#options);
    this.#behind = false;
    try {
      await applyNft({ script, ...(netns === undefined ? {} : { netns }) });
    } catch (error) {
      this.#behind = true;
      throw error;
    }
  }
}

/** The script that replaces the table. */
export function probeScript(
  podIps: readonly string[],
  options: Pick<ProbeRulesOptions, 'probeIp4' | 'probeIp6'>,
): string {
  const set = (name: string, type: string, ips: readonly string[]): string =>
    `  set ${name} {\n    type ${type}\n${ips.length > 0 ? `    elements = { ${ips.join(', ')} }\n` : ''}  }\n`;
  // Any owner: only packets of a local socket have one.
  const local = 'meta skuid 0-4294967294';
  return `table inet ${hostTable} { }
delete table inet ${hostTable}
table inet ${hostTable} {
${set(
  'pods4',
  'ipv4_addr',
  podIps.filter((ip) => !ip.includes(':')),
)}${set(
    'pods6',
    'ipv6_addr',
    podIps.filter((ip) => ip.includes(':')),
  )}  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${local} ip daddr @pods4 meta l4proto tcp snat ip to ${options.probeIp4}
    ${local} ip6 daddr @pods6 meta l4proto tcp snat ip6 to ${options.probeIp6}
  }
}
`;
}
