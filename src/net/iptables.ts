/** Packet rules through iptables-restore and iptables-save, for machines without nft. One table is one transaction. */
import { runNamespaceTool, type NamespaceOptions } from './namespace-tool.ts';

export interface IptablesOptions extends NamespaceOptions {
  readonly family: 'IPv4' | 'IPv6';
}

const code = 'net.iptables-failed';
/** Others may hold the lock of the legacy variant. */
const wait = ['-w', '5'] as const;

function prefix(family: IptablesOptions['family']): string {
  return family === 'IPv4' ? 'iptables' : 'ip6tables';
}

/** Feeds `iptables-restore --noflush`: chains that the script declares are emptied first, others stay. Throws `net.iptables-failed`. */
export async function applyIptables({
  family,
  ...options
}: IptablesOptions & { readonly script: string }): Promise<void> {
  const { script, ...where } = options;
  await runNamespaceTool({
    ...where,
    command: [`${prefix(family)}-restore`, ...wait, '--noflush'],
    input: script,
    code,
  });
}

/** One command, such as `['-t', 'nat', '-D', 'OUTPUT', '-j', 'X']`. */
export async function runIptables({
  family,
  ...options
}: IptablesOptions & { readonly args: readonly string[] }): Promise<void> {
  const { args, ...where } = options;
  await runNamespaceTool({ ...where, command: [prefix(family), ...wait, ...args], code });
}

/** What `iptables-save` prints, without the counters and the comments with the time. */
export async function listIptables({ family, ...where }: IptablesOptions): Promise<string> {
  const listed = await runNamespaceTool({ ...where, command: [`${prefix(family)}-save`], code });
  return listed
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ''))
    .join('\n');
}
