/**
 * Prints every TCP segment with payload that an interface of this network namespace carries, one JSON line each:
 * `{source, sourcePort, destination, destinationPort, payload (base64)}`. First line: `{"ready":true}`.
 * Argument: interface name. With SIGTERM it prints what was carried before, and ends.
 */
import { read } from 'node:fs';
import koffi from 'koffi';

const [, , name = 'eth0'] = process.argv;
const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const interfaceIndex = libc.func('unsigned int if_nametoindex(const char *)');
const bind = libc.func('int bind(int, const uint8_t *, uint32_t)');
const sendto = libc.func('int sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)');
const packetFamily = 17;
const rawSocket = 3;
const everyProtocol = 0x0300;
/** Local experimental (IEEE 802): a frame of our own, behind everything that was carried before it. */
const lastEtherType = 0x88b5;

// Not from /sys: its mount shows the interfaces of another namespace.
const index = interfaceIndex(name) as number;
if (index === 0) throw new Error(`No interface ${name}`);
const descriptor = socket(packetFamily, rawSocket, everyProtocol) as number;
if (descriptor < 0) throw new Error('Cannot open a packet socket');
const address = Buffer.alloc(20);
address.writeUInt16LE(packetFamily, 0);
address.writeUInt16LE(everyProtocol, 2);
address.writeInt32LE(index, 4);
if ((bind(descriptor, address, address.length) as number) !== 0) throw new Error(`Cannot bind to ${name}`);
const last = Buffer.alloc(60);
last.writeUInt16BE(lastEtherType, 12);
last.writeUInt32BE(process.pid, 14);
// By another socket, as one does not hear itself.
const sender = socket(packetFamily, rawSocket, 0) as number;
process.on('SIGTERM', () => {
  if ((sendto(sender, last, last.length, 0, address, address.length) as number) < 0) process.exit(0);
});
console.log('{"ready":true}');

const frame = Buffer.alloc(70_000);
const next = (): void =>
  read(descriptor, frame, 0, frame.length, null, (error, size) => {
    if (error) throw error;
    const packet = frame.subarray(0, size);
    if (packet.subarray(0, 18).equals(last.subarray(0, 18))) process.exit(0);
    print(packet);
    next();
  });
next();

function print(packet: Buffer): void {
  if (packet.length >= 74 && packet.readUInt16BE(12) === 0x86dd) return printIpv6(packet.subarray(14));
  if (packet.length < 54 || packet.readUInt16BE(12) !== 0x0800 || packet[23] !== 6) return;
  const ip = packet.subarray(14);
  const headerLength = ((ip[0] ?? 0) & 15) * 4;
  const total = ip.readUInt16BE(2);
  const tcp = ip.subarray(headerLength, total === 0 ? undefined : total);
  const payload = tcp.subarray(((tcp[12] ?? 0) >> 4) * 4);
  if (payload.length === 0) return;
  console.log(
    JSON.stringify({
      source: ip.subarray(12, 16).join('.'),
      sourcePort: tcp.readUInt16BE(0),
      destination: ip.subarray(16, 20).join('.'),
      destinationPort: tcp.readUInt16BE(2),
      payload: payload.toString('base64'),
    }),
  );
}

/** Without extension headers: none of ours has any. Addresses are written as bytes in hexadecimal, without `::`. */
function printIpv6(ip: Buffer): void {
  if (ip[6] !== 6) return;
  const tcp = ip.subarray(40, 40 + ip.readUInt16BE(4));
  const payload = tcp.subarray(((tcp[12] ?? 0) >> 4) * 4);
  if (payload.length === 0) return;
  const text = (at: number): string =>
    Array.from({ length: 8 }, (_, i) => ip.readUInt16BE(at + 2 * i).toString(16)).join(':');
  console.log(
    JSON.stringify({
      source: text(8),
      sourcePort: tcp.readUInt16BE(0),
      destination: text(24),
      destinationPort: tcp.readUInt16BE(2),
      payload: payload.toString('base64'),
    }),
  );
}
