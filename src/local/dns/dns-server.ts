/** The node's name server for its pods: cluster names over UDP and TCP; other names are asked upstream, or refused at once (RFC 1035). */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import {
  decode,
  encode,
  AUTHORITATIVE_ANSWER,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  type Answer,
  type Packet,
  type Question,
} from 'dns-packet';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { DnsStreamReader, frameDnsMessage } from '../../net/index.ts';
import type { ClusterAnswer, ClusterNames } from './cluster-names.ts';

export interface DnsServerOptions {
  readonly host: string;
  /** Default 53. 0 takes any port, the same for both. */
  readonly port?: number;
  readonly clusterDomain: string;
  /** The cluster's names as they are now; undefined while they are not known: clients ask again. */
  readonly names: () => ClusterNames | undefined;
  /** Answers a query about other names as a whole message, or undefined when it cannot. Absent: they are refused. */
  readonly upstream?: (query: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly log: Log;
}

export interface RunningDnsServer {
  readonly port: number;
  close(): Promise<void>;
}

const codes = { success: 0, formatError: 1, serverFailure: 2, absent: 3, notImplemented: 4, refused: 5 } as const;
/** Pods come and go within seconds: clients must ask again soon. */
const ttlSeconds = 5;
/** Largest answer over UDP without EDNS; with it, what the client says, up to this. */
const plainUdpBytes = 512;
const ednsUdpBytes = 1232;
const maxTcpClients = 512;
const tcpIdleMs = 10_000;
/** Names that a name may lead to, one after the other. */
const maxAliases = 8;

/** Binds both sockets. Rejects when the address cannot be had. */
export async function startDnsServer(options: DnsServerOptions): Promise<RunningDnsServer> {
  const sockets = new Set<Socket>();
  const { udp, tcp, port } = await bindBoth(options, sockets);
  return {
    port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
}

async function bindBoth(
  options: DnsServerOptions,
  sockets: Set<Socket>,
): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const udp = await bindUdp(options);
    const { port } = udp.address();
    try {
      return { udp, tcp: await listenTcp(options, port, sockets), port };
    } catch (error) {
      udp.close();
      // The port that the kernel gave for UDP may be taken for TCP: another one then.
      if (options.port !== 0 || codeOf(error) !== 'EADDRINUSE' || attempt === 10) throw error;
    }
  }
}

type Resolving = Pick<DnsServerOptions, 'clusterDomain' | 'names' | 'upstream'>;

/** The answer to one message; undefined for what is no query and gets none. At once, unless it has to be asked upstream. */
export function answerQuery(
  message: Uint8Array,
  options: Resolving,
  maxBytes?: number,
): Buffer | undefined | Promise<Buffer> {
  if (message.length < 12) return undefined;
  const head = Buffer.from(message.buffer, message.byteOffset, message.length);
  // QR set: an answer, not a query. Answering it could start a loop.
  if ((head.readUInt8(2) & 0x80) !== 0) return undefined;
  const id = head.readUInt16BE(0);
  let query: Packet;
  try {
    query = decode(head);
  } catch {
    return encode({ type: 'response', id, flags: codes.formatError });
  }
  const [question] = query.questions ?? [];
  const flags = (query.flags ?? 0) & RECURSION_DESIRED;
  if (!question || query.questions?.length !== 1)
    return encode({ type: 'response', id, flags: flags | codes.formatError });
  if (((head.readUInt8(2) >> 3) & 0x0f) !== 0) {
    return encode({ type: 'response', id, flags: flags | codes.notImplemented, questions: [question] });
  }
  const edns = query.additionals?.find((each) => each.type === 'OPT');
  const announced = edns && 'udpPayloadSize' in edns ? Number(edns.udpPayloadSize) : plainUdpBytes;
  const limit = maxBytes === undefined ? Infinity : Math.max(plainUdpBytes, Math.min(announced, maxBytes));
  const render = (reply: Reply): Buffer => {
    const packet: Packet = {
      type: 'response',
      id,
      flags: flags | (reply.isForeign ? RECURSION_AVAILABLE : AUTHORITATIVE_ANSWER) | reply.code,
      questions: [question],
      answers: reply.answers,
      authorities: reply.authorities,
      // No copy of the client's options: only that we know EDNS.
      additionals: edns
        ? [{ type: 'OPT', name: '.', udpPayloadSize: ednsUdpBytes, flags: 0, options: [] } as unknown as Answer]
        : [],
    };
    const encoded = encode(packet);
    if (encoded.length <= limit && !reply.isTruncated) return encoded;
    return truncate(encode({ ...packet, answers: [], authorities: [] }));
  };
  const reply = resolve(question, options);
  const { upstream } = options;
  if (!upstream) return render(reply);
  if (reply.code === codes.refused) {
    return upstream(message).then((answer) => {
      if (!answer || answer.length < 12) return render({ ...reply, code: codes.serverFailure });
      const bytes = Buffer.from(answer);
      bytes.writeUInt16BE(id, 0);
      return bytes.length <= limit ? bytes : render({ ...reply, code: codes.success, isTruncated: true });
    });
  }
  if (reply.elsewhere === undefined) return render(reply);
  const next = encode({ type: 'query', id, flags, questions: [{ ...question, name: reply.elsewhere }] });
  return upstream(next).then((answer) => {
    const found = answer && tryDecode(answer);
    return render({ ...reply, answers: [...reply.answers, ...(found?.answers ?? [])] });
  });
}

function tryDecode(message: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(message));
  } catch {
    return undefined;
  }
}

/** TC: ask again over TCP. */
function truncate(encoded: Buffer): Buffer {
  encoded.writeUInt8(encoded.readUInt8(2) | 0x02, 2);
  return encoded;
}

interface Reply {
  readonly code: number;
  readonly answers: Answer[];
  readonly authorities: Answer[];
  /** The last alias leads to this name, which is not the cluster's. */
  readonly elsewhere?: string;
  readonly isForeign?: boolean;
  readonly isTruncated?: boolean;
}

function resolve(question: Question, options: Resolving): Reply {
  const { name, type } = question;
  const names = options.names();
  if (!names) return { code: codes.serverFailure, answers: [], authorities: [] };
  const found = names.lookup(name);
  const authorities = [startOfAuthority(options.clusterDomain)];
  switch (found.kind) {
    case 'foreign':
      return { code: codes.refused, answers: [], authorities: [], isForeign: options.upstream !== undefined };
    case 'absent':
      return { code: codes.absent, answers: [], authorities };
    case 'pointer': {
      const answers: Answer[] = wants(type, 'PTR') ? [{ type: 'PTR', name, ttl: ttlSeconds, data: found.host }] : [];
      return { code: codes.success, answers, authorities: answers.length > 0 ? [] : authorities };
    }
    case 'found': {
      const { answers, elsewhere } = recordsOf(question, found, names);
      const more = elsewhere === undefined ? {} : { elsewhere };
      return { code: codes.success, answers, authorities: answers.length > 0 ? [] : authorities, ...more };
    }
  }
}

/** The records of a name, and of those that it is an alias of: stub resolvers do not follow aliases themselves. */
function recordsOf(
  { name, type }: Question,
  first: Extract<ClusterAnswer, { kind: 'found' }>,
  names: ClusterNames,
): { answers: Answer[]; elsewhere?: string } {
  const answers: Answer[] = [];
  let owner = name;
  let found = first;
  for (let hop = 0; found.alias !== undefined && hop < maxAliases; hop++) {
    answers.push({ type: 'CNAME', name: owner, ttl: ttlSeconds, data: found.alias });
    if (type === 'CNAME') return { answers };
    owner = found.alias;
    const next = names.lookup(owner.replace(/\.$/, ''));
    if (next.kind === 'foreign') return { answers, elsewhere: owner };
    if (next.kind !== 'found') return { answers };
    found = next;
  }
  for (const data of shuffle(found.addresses)) {
    const record = data.includes(':') ? 'AAAA' : 'A';
    if (wants(type, record)) answers.push({ type: record, name: owner, ttl: ttlSeconds, data });
  }
  if (!wants(type, 'SRV')) return { answers };
  for (const { host, port } of found.services) {
    const data = { target: host, port, priority: 0, weight: 100 };
    answers.push({ type: 'SRV', name: owner, ttl: ttlSeconds, data });
  }
  return { answers };
}

function wants(type: string, kind: string): boolean {
  return type === kind || type === 'ANY';
}

/** Lets clients keep a "no" as long as a "yes" (RFC 2308). */
function startOfAuthority(clusterDomain: string): Answer {
  return {
    type: 'SOA',
    name: clusterDomain,
    ttl: ttlSeconds,
    data: {
      mname: `ns.dns.${clusterDomain}`,
      rname: `hostmaster.${clusterDomain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttlSeconds,
    },
  };
}

function shuffle(addresses: readonly string[]): string[] {
  const mixed = [...addresses];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j] ?? '', mixed[i] ?? ''];
  }
  return mixed;
}

function bindUdp(options: DnsServerOptions): Promise<UdpSocket> {
  const socket = createSocket('udp4');
  let isOpen = true;
  socket.on('close', () => (isOpen = false));
  socket.on('message', (message, from) => {
    void tryAnswer(message, options, ednsUdpBytes).then((answer) => {
      // The socket may have been closed while the answer was asked for.
      if (answer && isOpen) socket.send(answer, from.port, from.address, () => {});
    });
  });
  return new Promise((resolveBound, reject) => {
    socket.once('error', reject);
    socket.bind(options.port ?? 53, options.host, () => {
      socket.off('error', reject);
      socket.on('error', (error) => options.log.warn('Name server socket failed', { error: messageOf(error) }));
      resolveBound(socket);
    });
  });
}

function listenTcp(options: DnsServerOptions, port: number, sockets: Set<Socket>): Promise<Server> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.setTimeout(tcpIdleMs, () => socket.destroy());
    const reader = new DnsStreamReader();
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) {
        void tryAnswer(message, options).then((answer) => {
          if (answer) socket.write(frameDnsMessage(answer));
          else socket.destroy();
        });
      }
    });
  });
  server.maxConnections = maxTcpClients;
  return new Promise((resolveListening, reject) => {
    server.once('error', reject);
    server.listen(port, options.host, () => {
      server.off('error', reject);
      server.on('error', (error) => options.log.warn('Name server listener failed', { error: messageOf(error) }));
      resolveListening(server);
    });
  });
}

async function tryAnswer(
  message: Uint8Array,
  options: DnsServerOptions,
  maxBytes?: number,
): Promise<Buffer | undefined> {
  try {
    return await answerQuery(message, options, maxBytes);
  } catch (error) {
    options.log.warn('Cannot answer a DNS query', { error: messageOf(error) });
    return undefined;
  }
}
