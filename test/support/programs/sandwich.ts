/**
 * Stands in for a waypoint behind a ztunnel: reads the PROXY protocol's header, then sends back `waypoint for ADDRESS:PORT: ` and what
 * it gets. Argument: port.
 */
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let head = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    if (head.length < 16) return;
    if (!head.subarray(0, 12).equals(signature)) return void socket.destroy();
    const end = 16 + head.readUInt16BE(14);
    if (head.length < end) return;
    socket.off('data', read);
    const isV6 = head[13] === 0x21;
    const address = isV6 ? 'an IPv6 address' : head.subarray(20, 24).join('.');
    const destinationPort = head.readUInt16BE(isV6 ? 50 : 26);
    socket.write(`waypoint for ${address}:${destinationPort}: `);
    socket.write(head.subarray(end));
    socket.pipe(socket);
  };
  socket.on('data', read);
  socket.on('error', () => socket.destroy());
}).listen(port, '::');
