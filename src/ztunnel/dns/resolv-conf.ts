/** resolv.conf(5): what of it a forwarder needs. */
import { readFileSync } from 'node:fs';
import { isLoopback, tryParseIp, formatIp } from '../../lib/ip.ts';
import type { Clock } from '../../lib/clock.ts';

/** The name servers of a resolv.conf in their order, at most three as resolvers have it; lines that cannot be read do not count. */
export function parseNameservers(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const address = /^nameserver[ \t]+(\S+)/.exec(line)?.[1];
    const bytes = address === undefined ? undefined : tryParseIp(address);
    if (bytes) found.push(formatIp(bytes));
  }
  return found.slice(0, 3);
}

const rereadMs = 5000;

/**
 * The name servers of this process, for pods of which nobody told us theirs. Read again when it is some seconds old: kubelets
 * and network managers replace the file. Those on the loopback are left out: in a pod that would be the pod's own.
 */
export function systemNameservers(clock: Clock, read: () => string = readResolvConf): () => readonly string[] {
  let known: readonly string[] = [];
  let readAtMs = -Infinity;
  return () => {
    // A clock that was set back is no reason to stay with what was.
    if (Math.abs(clock.nowMs() - readAtMs) < rereadMs) return known;
    readAtMs = clock.nowMs();
    try {
      const found = parseNameservers(read()).filter((ip) => !isLoopback(tryParseIp(ip) ?? new Uint8Array(4)));
      // One that names nobody is being written.
      if (found.length > 0) known = found;
    } catch {
      // It is being replaced: what it said a moment ago will do.
    }
    return known;
  };
}

function readResolvConf(): string {
  return readFileSync('/etc/resolv.conf', 'utf8');
}
