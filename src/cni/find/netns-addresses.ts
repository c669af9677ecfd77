/** The addresses that a network namespace has, on links that are up. */
import { networkInterfaces } from 'node:os';
import { canonicalIp } from '../../lib/ip.ts';
import { withNetns } from '../../net/index.ts';

/** Canonical text, of both families. */
export function addressesOf(netns: number): string[] {
  // A few system calls on this thread, so that it may be elsewhere meanwhile.
  const found = withNetns(netns, () => networkInterfaces());
  return Object.values(found).flatMap((links) => (links ?? []).map(({ address }) => canonicalIp(address)));
}
