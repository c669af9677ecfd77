/** A name server inside a network namespace, over UDP and TCP, that tests tell what to say. */
import { decode, encode, type Answer, type DecodedPacket } from 'dns-packet';
import {
  adoptDatagramSocket,
  adoptListenSocket,
  DnsStreamReader,
  frameDnsMessage,
  openDatagramSocket,
  openListenSocket,
  type DatagramSocket,
} from '../../src/net/index.ts';

export interface ReceivedQuery {
  readonly protocol: 'udp' | 'tcp';
  readonly from: string;
  readonly port: number;
  readonly packet: DecodedPacket;
  readonly bytes: Buffer;
}

/** The messages to answer with, in order; none is silence. */
export type Answering = (query: ReceivedQuery) => readonly Uint8Array[];

export interface TestNameServer {
  readonly queries: ReceivedQuery[];
  close(): void;
}

/** Answers A queries with `address` under the question's name. */
export function answerWith(address: string): Answering {
  return ({ packet }) => [
    reply(packet, [{ type: 'A', name: packet.questions?.[0]?.name ?? '', ttl: 60, data: address }]),
  ];
}

export function reply(query: DecodedPacket, answers: Answer[], flags = 0): Buffer {
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: 0x180 | flags,
    questions: query.questions ?? [],
    answers,
  });
}

export async function startTestNameServer(options: {
  readonly netns: number;
  readonly host: string;
  readonly answer: Answering;
}): Promise<TestNameServer> {
  const { netns, host } = options;
  const queries: ReceivedQuery[] = [];
  const heard = (query: Omit<ReceivedQuery, 'packet'>): readonly Uint8Array[] => {
    const received = { ...query, packet: decode(query.bytes) };
    queries.push(received);
    return options.answer(received);
  };
  const fd = openDatagramSocket({ netns, host, port: 53 });
  const udp: DatagramSocket = await adoptDatagramSocket(fd, host.includes(':') ? 'ipv6' : 'ipv4');
  udp.on('message', (bytes, { address, port }) => {
    for (const answer of heard({ protocol: 'udp', from: address, port, bytes })) udp.send(answer, port, address);
  });
  const tcp = await adoptListenSocket({
    fd: openListenSocket({ netns, host, port: 53 }),
    onConnection: ({ socket, remoteAddress, remotePort }) => {
      const reader = new DnsStreamReader();
      socket.on('data', (chunk: Buffer) => {
        for (const bytes of reader.push(chunk)) {
          const query = { protocol: 'tcp', from: remoteAddress, port: remotePort, bytes: Buffer.from(bytes) } as const;
          for (const answer of heard(query)) socket.write(frameDnsMessage(answer));
        }
      });
      socket.on('end', () => socket.end());
      socket.resume();
    },
  });
  return {
    queries,
    close() {
      udp.close();
      void tcp.close();
    },
  };
}
