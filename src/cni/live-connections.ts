/** Connections of a pod that ztunnel still carries: they decide when un-enrolment may take the last rules away. */
import { addressesOf } from './find/netns-addresses.ts';
import { isLiveState, readSocketTable, type SocketRow } from './socket-table.ts';

/** How many connections go through the proxy's sockets in the pod's namespace. */
export function countProxiedConnections(netns: number, podIps: readonly string[]): number {
  // A pod may have more than the API knows of: on a second link, or for itself alone.
  return countIn(readSocketTable(netns), [...podIps, ...addressesOf(netns)]);
}

const captured = new Set([15001, 15006]);

/** Counts the proxy's sockets: captured ones, and those that speak for somebody else's address. */
export function countIn(rows: readonly SocketRow[], podIps: readonly string[]): number {
  let count = 0;
  for (const { localAddress, localPort, state, inode } of rows) {
    if (!isLiveState(state) || inode === '0') continue;
    const foreign = !podIps.includes(localAddress) && !localAddress.startsWith('127.') && localAddress !== '::1';
    if (captured.has(localPort) || foreign) count++;
  }
  return count;
}
