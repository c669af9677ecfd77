/**
 * A name server for names outside of a mesh, at given addresses, port 53, over UDP. Argument: JSON, `{ listen, forwardTo, zone, records }`.
 *
 * A name of the zone has the addresses in `records`, `silent` for no answer at all, and does not exist otherwise; what is of no zone of
 * ours goes to the other name server. Logs `ready`, then each name that is asked for.
 */
import { createSocket } from 'node:dgram';
import { decode, encode, type Answer } from 'dns-packet';

interface Options {
  readonly listen: string;
  readonly forwardTo: string;
  readonly zone: string;
  readonly records: Readonly<Record<string, readonly string[] | 'silent'>>;
}

const { listen, forwardTo, zone, records } = JSON.parse(process.argv[2] ?? '{}') as Options;
const server = createSocket('udp4');

function forward(query: Buffer, answer: (bytes: Buffer) => void): void {
  const socket = createSocket('udp4');
  const timer = setTimeout(() => socket.close(), 10_000);
  socket.on('message', (bytes) => {
    clearTimeout(timer);
    answer(bytes);
    socket.close();
  });
  socket.send(query, 53, forwardTo);
}

server.on('message', (query, { address, port }) => {
  const { id = 0, questions = [] } = decode(query);
  const { name = '', type = 'A' } = questions[0] ?? {};
  const send = (bytes: Buffer): void => server.send(bytes, port, address);
  console.log(name.toLowerCase());
  if (!name.toLowerCase().endsWith(zone)) return forward(query, send);
  const found = records[name.toLowerCase()];
  if (found === 'silent') return;
  const ofType = (found ?? []).filter((ip) => ip.includes(':') === (type === 'AAAA'));
  const answers = ofType.map((data): Answer => ({ type: type === 'AAAA' ? 'AAAA' : 'A', name, ttl: 1, data }));
  send(encode({ type: 'response', id, flags: 0x180 | (found ? 0 : 3), questions, answers }));
});
server.bind(53, listen, () => console.log('ready'));
