/** Socket addresses as the kernel lays them out. */
import { formatIp, parseIp } from '../lib/ip.ts';
import { linux } from './sys.ts';

/** An IP endpoint; `address` is canonical text, IPv4-mapped IPv6 folded to IPv4. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export function familyOf(address: string): number {
  return address.includes(':') ? linux.AF_INET6 : linux.AF_INET;
}

/** `struct sockaddr_in` or `sockaddr_in6`. IPv4 text gives the mapped form when `family` is AF_INET6. */
export function encodeSocketAddress(address: string, port: number, family: number = familyOf(address)): Uint8Array {
  const ip = parseIp(address);
  const bytes = new Uint8Array(family === linux.AF_INET ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  if (family === linux.AF_INET) {
    bytes.set(ip, 4);
  } else if (ip.length === 16) {
    bytes.set(ip, 8);
  } else {
    bytes.set([0xff, 0xff], 18);
    bytes.set(ip, 20);
  }
  return bytes;
}

/** Reads `struct sockaddr_in` or `sockaddr_in6`; undefined for another family. */
export function decodeSocketAddress(bytes: Uint8Array): Endpoint | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === linux.AF_INET && bytes.length >= 8) return { address: formatIp(bytes.subarray(4, 8)), port };
  if (family === linux.AF_INET6 && bytes.length >= 24) return { address: formatIp(bytes.subarray(8, 24)), port };
  return undefined;
}

/** `struct sockaddr_un` of a path. */
export function encodeUnixAddress(path: string): Uint8Array {
  const text = Buffer.from(path);
  if (text.length > 107) throw new Error(`Cannot use "${path}" as a socket path: longer than 107 bytes`);
  const bytes = new Uint8Array(2 + text.length + 1);
  bytes[0] = linux.AF_UNIX;
  bytes.set(text, 2);
  return bytes;
}
