/** IP addresses and CIDR blocks as text and as bytes (4 or 16). IPv4-mapped IPv6 is always folded to IPv4. */
import { isIPv4, isIPv6 } from 'node:net';
import { AmbitError } from './errors.ts';

export interface Cidr {
  /** Network address bytes, host bits cleared; 4 or 16. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** Bytes of an IP literal, or undefined. `::ffff:a.b.c.d` gives 4 bytes. */
export function tryParseIp(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const bytes = parseIpv6(text);
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** The same of an address as sockets report it: a link-local one with the interface that it came through (`fe80::1%eth0`). */
export function tryParseScopedIp(text: string): Uint8Array | undefined {
  const scope = text.indexOf('%');
  return tryParseIp(scope < 0 ? text : text.slice(0, scope));
}

/** Bytes of an IP literal. Throws `ip.invalid`. */
export function parseIp(text: string): Uint8Array {
  const bytes = tryParseIp(text);
  if (!bytes) throw new AmbitError(`Cannot parse IP address "${text}"`, { code: 'ip.invalid', blame: 'downstream' });
  return bytes;
}

/** Canonical text: dotted IPv4, or RFC 5952 IPv6. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new Error(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > best.length) best = { start: i, length: j - i };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** Canonical text of an IP literal as sockets report it; the text itself when it is no IP. */
export function canonicalIp(text: string): string {
  // IPv4 has one notation. Three of these a new connection: parsing and formatting them took 3 % of its CPU.
  if (isIPv4(text)) return text;
  const bytes = tryParseIp(text);
  return bytes ? formatIp(bytes) : text;
}

/** A CIDR block, or a bare address as /32 or /128; undefined when it is neither. Host bits are cleared. */
export function tryParseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const bytes = tryParseIp(slash < 0 ? text : text.slice(0, slash));
  if (!bytes) return undefined;
  const bits = bytes.length * 8;
  if (slash < 0) return { address: bytes, prefixLength: bits };
  const suffix = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  let prefixLength = Number(suffix);
  if (bits === 32 && text.includes(':')) prefixLength -= 96;
  if (prefixLength < 0 || prefixLength > bits) return undefined;
  return { address: maskIp(bytes, prefixLength), prefixLength };
}

/** A CIDR block. Throws `ip.invalid-cidr`. */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (!cidr) throw new AmbitError(`Cannot parse CIDR "${text}"`, { code: 'ip.invalid-cidr', blame: 'downstream' });
  return cidr;
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.address)}/${cidr.prefixLength}`;
}

/** Whether `ip` (4 or 16 bytes) lies in the block. Families never mix. */
export function cidrContains(cidr: Cidr, ip: Uint8Array): boolean {
  if (cidr.address.length !== ip.length) return false;
  const whole = cidr.prefixLength >> 3;
  for (let i = 0; i < whole; i++) if (cidr.address[i] !== ip[i]) return false;
  const rest = cidr.prefixLength & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((cidr.address[whole] ?? 0) & mask) === ((ip[whole] ?? 0) & mask);
}

/** Whether the address is 127.0.0.0/8 or ::1. */
export function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

/** `ip:port`, with brackets around IPv6. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The address with all bits after the prefix cleared. */
export function maskIp(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, i) => {
    const bitsHere = Math.min(8, Math.max(0, prefixLength - 8 * i));
    return byte & (0xff << (8 - bitsHere)) & 0xff;
  });
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function parseIpv6(text: string): Uint8Array {
  let source = text;
  const dotted = /(?:^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(source)?.[1];
  if (dotted !== undefined) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
    source = `${source.slice(0, -dotted.length)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = source.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: middle }, () => '0'), ...right].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
