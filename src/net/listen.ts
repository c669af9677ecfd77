/** TCP listeners, in any network namespace, with the options that redirection needs. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { canonicalIp } from '../lib/ip.ts';
import { encodeSocketAddress, familyOf, type Endpoint } from './address.ts';
import { withNetns } from './netns.ts';
import { applySocketOptions, type SocketOptions } from './socket-options.ts';
import * as sys from './sys.ts';

const { linux } = sys;
const defaultBacklog = 4096;

export interface ListenSocketOptions extends SocketOptions {
  /** Descriptor of the namespace; absent: the process's own. */
  readonly netns?: number;
  /** IP literal. `::` is dual stack, and falls back to `0.0.0.0` where the kernel has no IPv6. */
  readonly host: string;
  /** 0: the kernel picks. */
  readonly port: number;
  readonly backlog?: number;
  /** Other sockets of the same user that have it set may listen here too; each connection goes to one of them. Default false. */
  readonly reusePort?: boolean;
}

/** A connection as the listener hands it out: paused, half-open allowed, no delay. */
export interface AcceptedSocket {
  /** Give it to `tcpChannel` or to TLS. An `error` listener is attached already. */
  readonly socket: Socket;
  /** Canonical text: IPv4-mapped IPv6 folded. */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface ServeOptions {
  /** A bound, listening socket; the listener owns it from now on. */
  readonly fd: number;
  readonly backlog?: number;
  readonly onConnection: (accepted: AcceptedSocket) => void;
  /** The listener failed (out of descriptors, for one); it goes on accepting. */
  readonly onError?: (error: Error) => void;
}

export interface Listener {
  readonly address: Endpoint;
  /** Stops accepting and closes the listening socket. Accepted connections live on. Idempotent. */
  close(): Promise<void>;
}

/** A bound, listening TCP socket: what `serve` takes, or what is handed to workers as duplicates. The caller owns it. */
export function openListenSocket(options: ListenSocketOptions): number {
  return withNetns(options.netns, () => {
    try {
      return bindAndListen(options, options.host);
    } catch (error) {
      const noIpv6 = error instanceof sys.SystemCallError && /eafnosupport|eaddrnotavail/.test(error.code);
      if (options.host === '::' && noIpv6) return bindAndListen(options, '0.0.0.0');
      throw error;
    }
  });
}

/** Whether `fd` is a socket to receive from: a listening stream socket, or one for datagrams. */
export function isListening(fd: number): boolean {
  const is = (option: number, wanted: number): boolean => {
    const value = sys.getOption(fd, linux.SOL_SOCKET, option, 4);
    return value !== undefined && Buffer.from(value).readInt32LE(0) === wanted;
  };
  return is(linux.SO_ACCEPTCONN, 1) || is(linux.SO_TYPE, linux.SOCK_DGRAM);
}

/** Whether anybody listens on the port, also with SO_REUSEPORT: then nobody can bind it without. */
export function isListenedOn({ netns, host, port }: Pick<ListenSocketOptions, 'netns' | 'host' | 'port'>): boolean {
  try {
    sys.close(openListenSocket({ ...(netns === undefined ? {} : { netns }), host, port, backlog: 0 }));
    return false;
  } catch (error) {
    if (error instanceof sys.SystemCallError && error.errno === linux.EADDRINUSE) return true;
    throw error;
  }
}

/** Accepts connections of a listening socket. */
export async function serve(options: ServeOptions): Promise<Listener> {
  const noDelay = !bequeathNoDelay(options.fd);
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay }, (socket) => {
    socket.on('error', ignore);
    const { remoteAddress, remotePort } = socket;
    // The peer may have reset before we got here: then the kernel knows no address any more.
    if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
    options.onConnection({ socket, remoteAddress: canonicalIp(remoteAddress), remotePort });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      sys.close(options.fd);
      reject(
        new AmbitError(`Cannot serve listening socket: ${messageOf(error)}`, {
          code: 'net.listen-failed',
          blame: 'internal',
          cause: error,
        }),
      );
    });
    // The backlog is the second argument: inside the options object Node ignores it and uses 511.
    server.listen({ fd: options.fd }, options.backlog ?? defaultBacklog, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => options.onError?.(error));
  const { address, port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    address: { address: canonicalIp(address), port },
    close: () => (closing ??= closeServer(server)),
  };
}

/** Opens a listening socket and accepts its connections. */
export async function listen(options: ListenSocketOptions & Omit<ServeOptions, 'fd'>): Promise<Listener> {
  const { onConnection, onError, ...socketOptions } = options;
  const fd = openListenSocket(socketOptions);
  return serve({
    fd,
    onConnection,
    ...(options.backlog === undefined ? {} : { backlog: options.backlog }),
    ...(onError ? { onError } : {}),
  });
}

function bindAndListen(options: ListenSocketOptions, host: string): number {
  const family = familyOf(host);
  const fd = sys.socket(family, linux.SOCK_STREAM);
  try {
    sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1);
    if (options.reusePort) sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_REUSEPORT, 1);
    if (family === linux.AF_INET6) sys.setIntOption(fd, linux.SOL_IPV6, linux.IPV6_V6ONLY, 0);
    applySocketOptions(fd, family, options);
    sys.bind(fd, encodeSocketAddress(host, options.port, family), `${host}:${options.port}`);
    sys.listenOn(fd, options.backlog ?? defaultBacklog);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** Connections have it from the socket that they were accepted from, at no cost to each; false where that cannot be. */
function bequeathNoDelay(fd: number): boolean {
  try {
    sys.setIntOption(fd, linux.SOL_TCP, linux.TCP_NODELAY, 1);
    return true;
  } catch {
    return false;
  }
}

/** Refers to nothing: it stays with the socket. */
function ignore(): void {}

function closeServer(server: Server): Promise<void> {
  // `close` calls back only when the last connection ended; the listening socket itself is closed at once.
  server.close();
  return Promise.resolve();
}
