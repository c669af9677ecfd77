/** UDP sockets in any network namespace, as node:dgram sockets. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { constants, networkInterfaces } from 'node:os';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import { encodeSocketAddress, familyOf } from './address.ts';
import { withNetns } from './netns.ts';
import { applySocketOptions, type SocketOptions } from './socket-options.ts';
import * as sys from './sys.ts';

const { linux } = sys;

export type DatagramSocket = Socket;

export interface DatagramOptions extends SocketOptions {
  /** Descriptor of the namespace; absent: the process's own. */
  readonly netns?: number | undefined;
  /** IP literal: where it receives, or whom it is connected to. */
  readonly host: string;
  readonly port: number;
}

/** A socket bound to one address, which others of the same user may share. The caller owns the descriptor. Throws `net.*`. */
export function openDatagramSocket(options: DatagramOptions): number {
  const { host, port } = options;
  return withFreshSocket(options, (fd, family) => {
    sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_REUSEPORT, 1);
    if (family === linux.AF_INET6) sys.setIntOption(fd, linux.SOL_IPV6, linux.IPV6_V6ONLY, 1);
    const place = formatHostPort(host, port);
    sys.bind(fd, encodeSocketAddress(host, port, family), place);
    // Where no link is up yet the kernel takes any address for a broadcast's: answers would go out from another one.
    if (Object.keys(networkInterfaces()).length === 0) {
      throw new sys.SystemCallError(`bind to ${place} in a namespace without addresses`, constants.errno.EADDRNOTAVAIL);
    }
  });
}

/** Receives from a bound socket of the given family, whose descriptor is the result's from now on, also when it rejects. */
export function adoptDatagramSocket(fd: number, family: 'ipv4' | 'ipv6'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = newSocket(family === 'ipv6');
    socket.once('error', (error) => {
      sys.close(fd);
      reject(failed('receive datagrams', error));
    });
    socket.bind({ fd, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/**
 * Lets a bound socket receive nothing more, as nobody's but one peer's who never sends; sending goes on. What waits in it stays
 * there. Of sockets that share an address it is no longer one.
 */
export function deafen(fd: number, family: 'ipv4' | 'ipv6'): void {
  const peer = family === 'ipv4' ? '127.0.0.1' : '::1';
  sys.connect(fd, encodeSocketAddress(peer, discardPort), formatHostPort(peer, discardPort));
}

const discardPort = 9;

/** Whether something waits to be received: it would be lost if the socket were closed now. */
export function hasDatagrams(fd: number): boolean {
  return sys.pendingBytes(fd) > 0;
}

/**
 * A socket on a port of the kernel's choice that sends to one peer and hears of nobody else; refusals come as `error` events.
 * Rejects with `net.unreachable`, or `net.*` of the system call that failed.
 */
export async function connectDatagramSocket(options: DatagramOptions): Promise<Socket> {
  const { host, port } = options;
  const fd = withFreshSocket(options, (opened, family) => {
    // The port now: libuv sets SO_REUSEADDR on what it is given, and the kernel then gives one port to several such sockets.
    const any = family === linux.AF_INET ? '0.0.0.0' : '::';
    sys.bind(opened, encodeSocketAddress(any, 0, family), 'a port of any number');
  });
  const socket = await adoptDatagramSocket(fd, isIPv6(host) ? 'ipv6' : 'ipv4');
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      socket.off('error', settle);
      if (!error) return resolve(socket);
      socket.close();
      reject(failed(`send to ${formatHostPort(host, port)}`, error));
    };
    socket.on('error', settle);
    socket.connect(port, host, settle);
  });
}

/** Addresses are literals: nothing is to be looked up, nor waited for. */
function newSocket(isV6: boolean): Socket {
  return createSocket({
    type: isV6 ? 'udp6' : 'udp4',
    lookup: (hostname, _options, done) => done(null, hostname, isV6 ? 6 : 4),
  });
}

function withFreshSocket(options: DatagramOptions, prepare: (fd: number, family: number) => void): number {
  const family = familyOf(options.host);
  return withNetns(options.netns, () => {
    const fd = sys.socket(family, linux.SOCK_DGRAM);
    try {
      applySocketOptions(fd, family, options);
      prepare(fd, family);
      return fd;
    } catch (error) {
      sys.close(fd);
      throw error;
    }
  });
}

function failed(action: string, error: Error): AmbitError {
  return new AmbitError(`Cannot ${action}: ${messageOf(error)}`, {
    code: 'net.unreachable',
    blame: 'upstream',
    cause: error,
  });
}
