/**
 * Connections that a pod had before the mesh captured it. They go past the mesh, without identity and policy, and are never cut
 * by enrolment: they are counted, and ended when the pod's owner asks for it.
 */
import { formatHostPort } from '../../lib/ip.ts';
import { runNamespaceTool } from '../../net/index.ts';
import { isLiveState, readSocketTable, type SocketRow } from '../socket-table.ts';

export class EarlierConnections {
  /** By pod: what names a connection for its life. */
  readonly #noted = new Map<string, ReadonlySet<string>>();

  /** Call it before the first rule goes in: everything there is older. */
  note(uid: string, netns: number, podIps: readonly string[]): void {
    const keys = new Set(connectionsOf(netns, podIps).map(keyOf));
    if (keys.size > 0) this.#noted.set(uid, keys);
    else this.#noted.delete(uid);
  }

  /** Those that still live; none are looked for in pods that had none. */
  living(uid: string, netns: number, podIps: readonly string[]): SocketRow[] {
    const keys = this.#noted.get(uid);
    if (!keys) return [];
    const living = connectionsOf(netns, podIps).filter((row) => keys.has(keyOf(row)));
    if (living.length === 0) this.#noted.delete(uid);
    return living;
  }

  forget(uid: string): void {
    this.#noted.delete(uid);
  }
}

/** At most so many a call: a filter is an argument. */
const maxClosed = 50;

/** Ends both sides of some of them, by the kernel (CONFIG_INET_DIAG_DESTROY; without, nothing happens). Throws `cni.close-failed`. */
export async function closeConnections(netns: number, rows: readonly SocketRow[]): Promise<void> {
  const filter = rows
    .slice(0, maxClosed)
    .map(
      (row) =>
        `( src ${formatHostPort(row.localAddress, row.localPort)} and dst ${formatHostPort(row.remoteAddress, row.remotePort)} )`,
    )
    .join(' or ');
  await runNamespaceTool({
    netns,
    command: ['ss', '--kill', '--tcp', '--no-header', filter],
    code: 'cni.close-failed',
  });
}

/** With anybody but the pod itself. */
function connectionsOf(netns: number, podIps: readonly string[]): SocketRow[] {
  return readSocketTable(netns).filter(
    ({ state, inode, localAddress, remoteAddress }) =>
      isLiveState(state) && inode !== '0' && podIps.includes(localAddress) && !podIps.includes(remoteAddress),
  );
}

/** A socket that comes after may have the same ends, never the same inode. */
function keyOf({ localPort, remoteAddress, remotePort, inode }: SocketRow): string {
  return `${inode} ${localPort} ${remoteAddress} ${remotePort}`;
}
