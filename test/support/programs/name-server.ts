/**
 * A name server on port 53, over UDP and TCP, in both families: every name has the address 192.0.2.53, and under `long.` it has
 * too many to be said over UDP. Logs each query as a JSON line: protocol and name.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { decode, encode } from 'dns-packet';
import { DnsStreamReader, frameDnsMessage } from '../../../src/net/dns-stream.ts';

const port = 53;
const truncated = 0x200;

function answer(bytes: Uint8Array, protocol: 'udp' | 'tcp'): Buffer {
  const { id = 0, questions = [] } = decode(Buffer.from(bytes));
  const name = questions[0]?.name ?? '';
  console.log(JSON.stringify({ protocol, name }));
  const isCut = protocol === 'udp' && name.startsWith('long.');
  const isAddress = questions[0]?.type === 'A' && !isCut;
  return encode({
    type: 'response',
    id,
    flags: 0x180 | (isCut ? truncated : 0),
    questions,
    answers: isAddress ? [{ type: 'A', name, ttl: 1, data: '192.0.2.53' }] : [],
  });
}

const udp = createSocket({ type: 'udp6', ipv6Only: false });
udp.on('message', (query, { address, port: from }) => udp.send(answer(query, 'udp'), from, address));
udp.bind(port);
createServer((socket) => {
  const reader = new DnsStreamReader();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    for (const query of reader.push(chunk)) socket.write(frameDnsMessage(answer(query, 'tcp')));
  });
}).listen(port, '::');
