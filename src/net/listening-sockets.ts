/** Where the processes of a network namespace listen: to tell a person why nobody answered. */
import { closeSync, openSync, readSync } from 'node:fs';
import { formatIp } from '../lib/ip.ts';
import { withNetns } from './netns.ts';

const listenState = '0A';
// The kernel lists listening sockets before all others, 150 bytes each: this is some hundred of them.
const readBytes = 64 * 1024;

/** The addresses on which `port` is listened to by TCP; empty when nobody does. One small read for each IP family. */
export function listeningAddresses(netns: number | undefined, port: number): string[] {
  const found: string[] = [];
  for (const name of ['tcp', 'tcp6']) {
    for (const line of withNetns(netns, () => firstLines(`/proc/thread-self/net/${name}`))) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [address = '', localPort = ''] = local.split(':');
      if (state === listenState && Number.parseInt(localPort, 16) === port)
        found.push(formatIp(decodeAddress(address)));
    }
  }
  return found;
}

function firstLines(path: string): string[] {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    // No IPv6 in this kernel.
    return [];
  }
  try {
    const memory = Buffer.alloc(readBytes);
    let length = 0;
    for (;;) {
      const count = readSync(fd, memory, length, readBytes - length, null);
      length += count;
      if (count === 0 || length === readBytes) break;
    }
    return memory.toString('latin1', 0, length).split('\n').slice(1);
  } finally {
    closeSync(fd);
  }
}

/** Words of 32 bits, each in the order of the machine: little-endian where we run. */
function decodeAddress(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  for (let i = 0; i + 4 <= bytes.length; i += 4) bytes.subarray(i, i + 4).reverse();
  return bytes;
}
