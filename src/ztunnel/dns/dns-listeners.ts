/** The sockets that a pod's DNS queries are redirected to, and their names among the pod's listeners. */
import { codeOf } from '../../lib/errors.ts';
import { openDatagramSocket, openListenSocket } from '../../net/index.ts';
import { dnsPort } from '../ports.ts';

interface DnsListener {
  readonly protocol: 'udp' | 'tcp';
  readonly family: 'ipv4' | 'ipv6';
  /** Which of the pod's name servers was asked. */
  readonly serverIndex: number;
}

/** Resolvers use three name servers at most (resolv.conf(5)). */
const maxServers = 3;
const tcpBacklog = 256;
const kinds = ['udp4', 'tcp4', 'udp6', 'tcp6'] as const;

/** The names of the listeners for a pod with so many name servers; for one of which nothing was told, those for one. */
export function dnsListenerNames(serverCount = 1): string[] {
  const servers = Array.from({ length: Math.min(Math.max(serverCount, 1), maxServers) }, (_, i) => i);
  return servers.flatMap((i) => kinds.map((kind) => `dns-${kind}-${i}`));
}

/** What a listener of that name is for; undefined for listeners of other things. */
export function parseDnsListenerName(name: string): DnsListener | undefined {
  const parts = /^dns-(udp|tcp)(4|6)-(\d)$/.exec(name);
  return parts
    ? {
        protocol: parts[1] === 'udp' ? 'udp' : 'tcp',
        family: parts[2] === '4' ? 'ipv4' : 'ipv6',
        serverIndex: Number(parts[3]),
      }
    : undefined;
}

export function isDnsListener(name: string): boolean {
  return parseDnsListenerName(name) !== undefined;
}

/**
 * Opens the socket of that name inside the namespace; the caller owns the descriptor. It is bound to the loopback: what is
 * redirected arrives there, a wildcard would answer from an address that the client did not ask, and nobody outside is to ask
 * us. Undefined where the namespace has no such family. Throws `net.*`.
 */
export function openDnsListener(
  name: string,
  { netns, mark }: { readonly netns: number; readonly mark: number },
): number | undefined {
  const listener = parseDnsListenerName(name);
  if (!listener) throw new Error(`There is no DNS listener "${name}"`);
  const { protocol, family, serverIndex } = listener;
  const socket = { netns, mark, host: family === 'ipv4' ? '127.0.0.1' : '::1', port: dnsPort + serverIndex };
  try {
    return protocol === 'udp'
      ? openDatagramSocket(socket)
      : openListenSocket({ ...socket, backlog: tcpBacklog, reusePort: true });
  } catch (error) {
    if (family === 'ipv6' && /eafnosupport|eaddrnotavail/.test(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
