/**
 * The host's half of `--egress`: connects to where applications in the mesh want to go, and asks the host's resolvers.
 * One connection on the unix socket is one connection or one query. It begins with a line, `connect ADDRESS PORT` or
 * `dns`; `connect` is answered by `ok` or `refused CODE` and a newline, then bytes pass; `dns` is followed by one message
 * with its length in two bytes before it, as over TCP (RFC 1035 section 4.2.2), and answered alike.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { cidrContains, isLoopback, parseCidr, tryParseIp } from '../../lib/ip.ts';
import type { Log } from '../../lib/log.ts';

export interface EgressRelayOptions {
  /** The unix socket. */
  readonly path: string;
  /** `ADDRESS` or `ADDRESS:PORT` of the host's resolvers, as dns.getServers() gives them. */
  readonly resolvers: readonly string[];
  readonly log: Log;
}

const maxConnections = 2048;
const maxLineBytes = 128;
const requestTimeoutMs = 5_000;
const connectTimeoutMs = 15_000;
const queryTimeoutMs = 2_500;
const maxMessageBytes = 65_535;

/** Never reached: the host's own loopback and link, groups, and what is no address of a host. */
const closed = ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3', '::/128', 'fe80::/10', 'ff00::/8'].map(parseCidr);

/** Whether the relay may connect to `address` (an IP literal). IPv4 in IPv6 counts as the IPv4 that it is. */
export function isOpenDestination(address: string): boolean {
  const bytes = tryParseIp(address);
  return bytes !== undefined && !isLoopback(bytes) && !closed.some((cidr) => cidrContains(cidr, bytes));
}

/** Resolves once it listens. */
export function startEgressRelay(options: EgressRelayOptions): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    readLine(client, (line) => serve(client, line, options));
  });
  server.maxConnections = maxConnections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.path, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** What follows the line stays in the socket, paused. */
function readLine(client: Socket, then: (line: string) => void): void {
  let held: Buffer = Buffer.alloc(0);
  client.setTimeout(requestTimeoutMs, () => client.destroy());
  const onData = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk]);
    const end = held.indexOf(0x0a);
    if (end < 0 && held.length <= maxLineBytes) return;
    client.off('data', onData).pause().setTimeout(0);
    client.removeAllListeners('timeout');
    if (end < 0) return void client.destroy();
    if (end + 1 < held.length) client.unshift(held.subarray(end + 1));
    then(held.subarray(0, end).toString('latin1'));
  };
  client.on('data', onData);
}

function serve(client: Socket, line: string, options: EgressRelayOptions): void {
  if (line === 'dns') return void answerQuery(client, options);
  const [verb, address = '', port = ''] = line.split(' ');
  if (verb !== 'connect' || !isOpenDestination(address) || !/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) {
    options.log.debug('Refused a destination', { line });
    return void client.end('refused EACCES\n');
  }
  const upstream = connect({ host: address, port: Number(port), allowHalfOpen: true, noDelay: true });
  upstream.setTimeout(connectTimeoutMs, () => upstream.destroy());
  upstream.on('error', (error) => {
    if (upstream.connecting || upstream.bytesRead + upstream.bytesWritten === 0)
      client.end(`refused ${codeOf(error) ?? 'EIO'}\n`);
    else client.destroy();
  });
  upstream.once('connect', () => {
    upstream.setTimeout(0);
    client.write('ok\n');
    client.pipe(upstream);
    upstream.pipe(client);
    upstream.on('close', () => {
      if (!upstream.readableEnded) client.destroy();
    });
  });
  client.on('close', () => {
    if (!client.readableEnded || upstream.connecting) upstream.destroy();
  });
}

async function answerQuery(client: Socket, { resolvers, log }: EgressRelayOptions): Promise<void> {
  try {
    const query = await readMessage(client);
    for (const resolver of resolvers) {
      const answer = await askResolver(resolver, query);
      if (!answer) continue;
      client.end(framed(answer));
      return;
    }
  } catch (error) {
    log.debug('Cannot answer a query', { error: messageOf(error) });
  }
  client.destroy();
}

/** Over UDP, and once more over TCP when the answer is cut. Undefined when the resolver does not answer. */
async function askResolver(resolver: string, query: Buffer): Promise<Buffer | undefined> {
  const { host, port } = parseResolver(resolver);
  const answer = await askUdp(host, port, query);
  if (!answer || ((answer[2] ?? 0) & 0x02) === 0) return answer;
  return (await askTcp(host, port, query)) ?? answer;
}

function askUdp(host: string, port: number, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const done = (answer?: Buffer): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(done, queryTimeoutMs);
    socket.once('error', () => done());
    // Connected: the kernel drops what others send.
    socket.connect(port, host, () => {
      socket.on('message', (message) => {
        if (message.length >= 12 && message.readUInt16BE(0) === query.readUInt16BE(0)) done(message);
      });
      socket.send(query);
    });
  });
}

async function askTcp(host: string, port: number, query: Buffer): Promise<Buffer | undefined> {
  const socket = connect({ host, port });
  socket.setTimeout(queryTimeoutMs, () => socket.destroy(new Error('timeout')));
  try {
    socket.write(framed(query));
    return await readMessage(socket);
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** One message with its length before it. Rejects when the socket ends before, or after the time for a request. */
function readMessage(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(new Error('timeout')), requestTimeoutMs);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
    socket.on('end', () => reject(new Error('ended')));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return;
      clearTimeout(timer);
      const message = held.subarray(2, 2 + held.readUInt16BE(0));
      if (message.length >= 12) resolve(message);
      else reject(new Error('too short'));
    });
    socket.on('close', () => clearTimeout(timer));
    socket.resume();
  });
}

function framed(message: Buffer): Buffer {
  const bytes = Buffer.alloc(2 + Math.min(message.length, maxMessageBytes));
  bytes.writeUInt16BE(bytes.length - 2, 0);
  message.copy(bytes, 2);
  return bytes;
}

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`. */
function parseResolver(text: string): { host: string; port: number } {
  const [, v6, v6Port] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? [];
  if (v6 !== undefined) return { host: v6, port: Number(v6Port ?? 53) };
  const [host = '', port] = isIPv6(text) ? [text] : text.split(':');
  return { host, port: Number(port ?? 53) };
}
