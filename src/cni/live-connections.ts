/** Connections of a pod that ztunnel still carries: they decide when un-enrolment may take the last rules away. */
import { readFileSync } from 'node:fs';
import { formatIp } from '../lib/ip.ts';
import { withNetns } from '../net/index.ts';

/** How many connections go through the proxy's sockets in the pod's namespace. */
export function countProxiedConnections(netns: number, podIps: readonly string[]): number {
  // thread-self, not self: the thread moves, the process does not.
  const tables = withNetns(netns, () => ['tcp', 'tcp6'].map((name) => tryRead(`/proc/thread-self/net/${name}`)));
  return tables.reduce((count, text) => count + countIn(text, podIps), 0);
}

const captured = new Set([15001, 15006]);
/** Established, and the states in which one direction may still flow. */
const liveStates = new Set(['01', '04', '05', '08']);

/** Counts the proxy's sockets in the text of /proc/net/tcp: captured ones, and those that speak for somebody else's address. */
export function countIn(text: string, podIps: readonly string[]): number {
  let count = 0;
  for (const { localAddress, localPort, state, inode } of parseSocketTable(text)) {
    // Inode 0: closed by its owner, only the kernel still knows it.
    if (!liveStates.has(state) || inode === '0') continue;
    const foreign = !podIps.includes(localAddress) && !localAddress.startsWith('127.') && localAddress !== '::1';
    if (captured.has(localPort) || foreign) count++;
  }
  return count;
}

interface SocketRow {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
  /** Two hexadecimal digits; `01` is established. */
  readonly state: string;
  readonly inode: string;
}

/** The rows of /proc/net/tcp or tcp6. */
export function parseSocketTable(text: string): SocketRow[] {
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.trim().split(/\s+/);
      const [, local = '', remote = '', state = ''] = fields;
      const { address, port } = parseEndpoint(local);
      const remotePort = parseInt(remote.slice(remote.indexOf(':') + 1), 16);
      return { localAddress: address, localPort: port, remotePort, state, inode: fields[9] ?? '0' };
    });
}

/** `0101007F:3A99`: 32-bit words in the byte order of the machine, which is little-endian wherever we run. */
function parseEndpoint(text: string): { address: string; port: number } {
  const [hex = '', port = '0'] = text.split(':');
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return { address: bytes.length === 4 || bytes.length === 16 ? formatIp(bytes) : '', port: parseInt(port, 16) };
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
