/** Which IP families the network namespace that the caller is in can use. */
import { readFileSync } from 'node:fs';
import type { IpFamily } from './addresses.ts';

/** False where the kernel has no IPv6 or it is switched off (net.ipv6.conf.all.disable_ipv6). */
export function kernelHasIpv6(): boolean {
  return tryRead('/proc/sys/net/ipv6/conf/all/disable_ipv6')?.trim() === '0';
}

/** What the mesh was laid out with, seen from the namespace of the bridge or of a node. IPv4 comes first. */
export function meshFamilies(): readonly IpFamily[] {
  // os.networkInterfaces() leaves out links without a carrier: a bridge that has no port yet. This is fd00:172:30::/48.
  const hasIpv6 = tryRead('/proc/net/if_inet6')
    ?.split('\n')
    .some((line) => line.startsWith('fd0001720030'));
  return hasIpv6 === true ? ['IPv4', 'IPv6'] : ['IPv4'];
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
