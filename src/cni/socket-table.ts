/** The TCP sockets of a network namespace, as /proc/net/tcp and tcp6 show them. */
import { readFileSync } from 'node:fs';
import { formatIp } from '../lib/ip.ts';
import { withNetns } from '../net/index.ts';

export interface SocketRow {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Two hexadecimal digits; `01` is established. */
  readonly state: string;
  /** `0`: closed by its owner, only the kernel still knows it. */
  readonly inode: string;
}

/** Established, and the states in which one direction may still flow. */
const liveStates = new Set(['01', '04', '05', '08']);

export function isLiveState(state: string): boolean {
  return liveStates.has(state);
}

/** Both families. A table that is not there is empty. */
export function readSocketTable(netns: number): SocketRow[] {
  // thread-self, not self: the thread moves, the process does not.
  const tables = withNetns(netns, () => ['tcp', 'tcp6'].map((name) => tryRead(`/proc/thread-self/net/${name}`)));
  return tables.flatMap(parseSocketTable);
}

export function parseSocketTable(text: string): SocketRow[] {
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.trim().split(/\s+/);
      const [, local = '', remote = '', state = ''] = fields;
      const [from, to] = [parseEndpoint(local), parseEndpoint(remote)];
      return {
        localAddress: from.address,
        localPort: from.port,
        remoteAddress: to.address,
        remotePort: to.port,
        state,
        inode: fields[9] ?? '0',
      };
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
