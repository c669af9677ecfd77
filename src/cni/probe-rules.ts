/** Lets the node's probes into pods that refuse plaintext: in the node's namespace their source becomes a marker address. */
import { applyIptables, applyNft, listIptables, listNftTable, nftGeneration } from '../net/index.ts';
import { ProbedAddresses } from './probed-addresses.ts';
import type { RuleProgram } from './rules/rule-writer.ts';

export const hostTable = 'ambit-host';
export const defaultProbeIp4 = '169.254.7.127';
export const defaultProbeIp6 = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';

export interface ProbeRulesOptions {
  readonly probeIp4: string;
  readonly probeIp6: string;
  readonly program: RuleProgram;
  /** Of the connections by which the kubelet probes; absent: every connection of the node is taken for one. */
  readonly mark?: number;
  /** Absent: the process's own namespace, which is the node's. */
  readonly netns?: number;
}

/**
 * The table `inet ambit-host` with the addresses of enrolled pods. What connects from the node itself (it has a socket
 * here; forwarded packets have none), with the kubelet's mark if that has one, to one of them comes from the marker address, which
 * the pod's rules leave alone.
 */
export class ProbeRules {
  readonly #options: ProbeRulesOptions;
  readonly #addresses = new ProbedAddresses();
  /** The table does not say yet what `#addresses` says. */
  #behind = true;
  /** Of the node's nftables when the table was last known to be right, and the table as the kernel lists it, once it was needed. */
  #written: { readonly generation: number | undefined; readonly text: string | undefined } | undefined;
  #applying: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: ProbeRulesOptions) {
    this.#options = options;
  }

  /** Resolves once the addresses are in the rules. After a failure the next call tries again. */
  async set(uid: string, ips: readonly string[]): Promise<void> {
    if (this.#addresses.claim(uid, ips)) this.#behind = true;
    if (this.#behind) await this.apply();
    else await this.#applying;
  }

  async remove(uid: string): Promise<void> {
    await this.set(uid, []);
  }

  /** Takes everything away. */
  async clear(): Promise<void> {
    this.#addresses.clear();
    const { netns, program } = this.#options;
    const where = netns === undefined ? {} : { netns };
    if (program === 'nft')
      await applyNft({ script: `table inet ${hostTable} { }\ndelete table inet ${hostTable}\n`, ...where });
    else await this.#writeIptables([], where);
  }

  /** Puts back what somebody changed: resolves to whether it had to. Nothing but a system call while the node's rules stay as they are. */
  async ensure(): Promise<boolean> {
    await this.#applying;
    const written = this.#written;
    if (this.#behind || !written) {
      await this.apply();
      return false;
    }
    const { netns, program } = this.#options;
    const generation = nftGeneration(netns);
    // The number tells nothing of the older iptables.
    if (program === 'nft' && generation !== undefined && generation === written.generation) return false;
    const found = await this.#read();
    // Pods came or went meanwhile: the table is as new.
    if (this.#written !== written) return false;
    if (written.text !== undefined && found === written.text) {
      this.#written = { ...written, generation };
      return false;
    }
    // The same rules, written again, tell what ours should look like.
    await this.apply();
    const again = this.#written;
    const text = await this.#read();
    if (this.#written === again && again?.generation === nftGeneration(netns)) this.#written = { ...again, text };
    return found !== text;
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
    const { netns, program } = this.#options;
    const ips = this.#addresses.all;
    const where = netns === undefined ? {} : { netns };
    this.#behind = false;
    try {
      if (program === 'nft') await applyNft({ script: probeScript(ips, this.#options), ...where });
      else await this.#writeIptables(ips, where);
      this.#written = { generation: nftGeneration(netns), text: undefined };
    } catch (error) {
      this.#behind = true;
      throw error;
    }
  }

  /** What the node has of ours, as text that is equal for equal rules. */
  async #read(): Promise<string | undefined> {
    const { netns, program } = this.#options;
    const where = netns === undefined ? {} : { netns };
    if (program === 'nft') return listNftTable('inet', hostTable, where);
    const texts = await Promise.all(
      (['IPv4', 'IPv6'] as const).map((family) => listIptables({ family, ...where }).catch(() => '')),
    );
    return texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => isOurs.test(line))
      .join('\n');
  }

  async #writeIptables(ips: readonly string[], where: { readonly netns?: number }): Promise<void> {
    const { probeIp4, probeIp6, mark } = this.#options;
    for (const family of ['IPv4', 'IPv6'] as const) {
      const own = ips.filter((ip) => ip.includes(':') === (family === 'IPv6'));
      try {
        const needsJump = !(await listIptables({ family, ...where })).split('\n').includes(jump);
        if (own.length === 0 && needsJump) continue;
        const script = probeIptablesScript(own, family === 'IPv4' ? probeIp4 : probeIp6, needsJump, mark);
        await applyIptables({ family, script, ...where });
      } catch (error) {
        // A node without IPv6 has no probes of it.
        if (family === 'IPv4' || own.length > 0) throw error;
      }
    }
  }
}

const jump = '-A POSTROUTING -j ISTIO_POSTRT';
const isOurs = / ISTIO_POSTRT( |$)/;

/** The script that replaces the chain ISTIO_POSTRT; with the jump to it where there is none. */
export function probeIptablesScript(
  podIps: readonly string[],
  probeIp: string,
  needsJump: boolean,
  mark?: number,
): string {
  const marked = mark === undefined ? '' : ` -m mark --mark 0x${mark.toString(16)}`;
  const rules = podIps.map(
    (ip) => `-A ISTIO_POSTRT -d ${ip} -p tcp -m owner --socket-exists${marked} -j SNAT --to-source ${probeIp}`,
  );
  return ['*nat', ':ISTIO_POSTRT - [0:0]', ...(needsJump ? [jump] : []), ...rules, 'COMMIT', ''].join('\n');
}

/** The script that replaces the table. */
export function probeScript(
  podIps: readonly string[],
  options: Pick<ProbeRulesOptions, 'probeIp4' | 'probeIp6' | 'mark'>,
): string {
  const set = (name: string, type: string, ips: readonly string[]): string =>
    `  set ${name} {\n    type ${type}\n${ips.length > 0 ? `    elements = { ${ips.join(', ')} }\n` : ''}  }\n`;
  // Any owner: only packets of a local socket have one.
  const marked = options.mark === undefined ? '' : ` meta mark 0x${options.mark.toString(16)}`;
  const local = `meta skuid 0-4294967294${marked}`;
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
