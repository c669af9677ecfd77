/** A TCP segment that belongs to no connection: what an attacker sends ahead of the connection that it means. */
import { Socket } from 'node:net';
import { parseIp } from '../../src/lib/ip.ts';
import { encodeSocketAddress, familyOf, type Endpoint } from '../../src/net/address.ts';
import { withNetns } from '../../src/net/index.ts';
import { bind, close, connect, linux, sendMessage, setIntOption, socket } from '../../src/net/sys.ts';

const tcp = 6;
const ackFlag = 0x10;
/** TCP-MD5 (RFC 2385) between two no-operations: whoever has no key for the peer drops such a segment without an answer. */
const signature = Uint8Array.of(1, 1, 19, 18, ...Array.from({ length: 16 }, () => 0x5a));

export interface SegmentOptions {
  readonly netns: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** Sends an ACK from `from`, an address of the namespace, and no SYN before it. */
export function sendStrayAck({ netns, from, to }: SegmentOptions): void {
  const family = familyOf(to.address);
  const fd = withNetns(netns, () => socket(family, linux.SOCK_RAW, tcp));
  try {
    connect(fd, encodeSocketAddress(to.address, 0), to.address);
    sendMessage(fd, segment(from, to));
  } finally {
    close(fd);
  }
}

/** Connects from that very port; resolves to what the other end says, or to undefined when it says nothing for `timeoutMs`. */
export function connectFrom(options: SegmentOptions & { readonly timeoutMs: number }): Promise<string | undefined> {
  const { netns, from, to, timeoutMs } = options;
  const family = familyOf(to.address);
  const fd = withNetns(netns, () => {
    const opened = socket(family, linux.SOCK_STREAM);
    setIntOption(opened, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1);
    bind(opened, encodeSocketAddress(from.address, from.port), `${from.address}:${from.port}`);
    return opened;
  });
  return new Promise((resolve) => {
    const stream = new Socket({ fd, manualStart: true } as never);
    const done = (said: string | undefined): void => {
      clearTimeout(timer);
      stream.destroy();
      resolve(said);
    };
    const timer = setTimeout(() => done(undefined), timeoutMs);
    stream.on('error', () => done(undefined));
    stream.on('data', (bytes: Buffer) => done(bytes.toString()));
    stream.connect({ host: to.address, port: to.port }, () => stream.write('ping'));
  });
}

function segment(from: Endpoint, to: Endpoint): Uint8Array {
  const bytes = new Uint8Array(20 + signature.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint32(4, 1000);
  view.setUint32(8, 2000);
  view.setUint8(12, (bytes.length / 4) << 4);
  view.setUint8(13, ackFlag);
  view.setUint16(14, 1000);
  bytes.set(signature, 20);
  view.setUint16(
    16,
    checksum(Uint8Array.of(...parseIp(from.address), ...parseIp(to.address), 0, tcp, 0, bytes.length, ...bytes)),
  );
  return bytes;
}

/** RFC 1071; of the pseudo-header the fields that are 0 are left out. */
function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
