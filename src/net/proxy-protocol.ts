/** The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who a connection comes from, told before its first byte. */
import { formatIp, parseIp } from '../lib/ip.ts';
import type { Endpoint } from './address.ts';

/** TLV types of Istio's sandwiched waypoints. */
export const proxyTlv = { sourceIdentity: 0xd0 } as const;

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const versionAndProxy = 0x21;
const tcpOverIpv4 = 0x11;
const tcpOverIpv6 = 0x21;

export interface ProxyHeader {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly tlvs?: readonly { readonly type: number; readonly value: string }[];
}

/** Ends of two families are both told as IPv6: the header has room for one. */
export function encodeProxyHeader({ source, destination, tlvs = [] }: ProxyHeader): Uint8Array {
  let ends = [parseIp(source.address), parseIp(destination.address)];
  const mixed = ends[0]?.length !== ends[1]?.length;
  if (mixed) ends = ends.map((bytes) => (bytes.length === 4 ? mapped(bytes) : bytes));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const extras = tlvs.map(({ type, value }) => {
    const text = Buffer.from(value);
    return Buffer.concat([Uint8Array.of(type, text.length >> 8, text.length & 0xff), text]);
  });
  const body = Buffer.concat([...ends, ports, ...extras]);
  const family = ends[0]?.length === 4 ? tcpOverIpv4 : tcpOverIpv6;
  return Buffer.concat([
    Uint8Array.of(...signature, versionAndProxy, family, body.length >> 8, body.length & 0xff),
    body,
  ]);
}

/** Version 1: one line of text. */
export function encodeProxyHeaderV1({ source, destination }: Pick<ProxyHeader, 'source' | 'destination'>): Uint8Array {
  let ends = [parseIp(source.address), parseIp(destination.address)];
  if (ends[0]?.length !== ends[1]?.length) ends = ends.map((bytes) => (bytes.length === 4 ? mapped(bytes) : bytes));
  const isIpv4 = ends[0]?.length === 4;
  const [from = '', to = ''] = ends.map((bytes) => (isIpv4 ? formatIp(bytes) : plainIpv6(bytes)));
  return Buffer.from(`PROXY ${isIpv4 ? 'TCP4' : 'TCP6'} ${from} ${to} ${source.port} ${destination.port}\r\n`);
}

/** All groups: `formatIp` would fold a mapped address back to IPv4. */
function plainIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}

function mapped(ipv4: Uint8Array): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ipv4);
}
