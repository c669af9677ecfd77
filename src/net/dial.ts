/** Outgoing TCP connections, from any network namespace, with a mark and somebody else's source address. */
import { Socket } from 'node:net';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import type { Abortable } from '../lib/light-signal.ts';
import { familyOf } from './address.ts';
import { withNetns } from './netns.ts';
import { descriptorOf } from './socket-handle.ts';
import { applySocketOptions, setKeepAliveProbes, type KeepAliveProbes } from './socket-options.ts';
import { bindAnyPort, bindForeign } from './source-address.ts';
import * as sys from './sys.ts';

export interface DialOptions {
  /** Descriptor of the namespace; absent: the process's own. */
  readonly netns?: number;
  /** IP literal: names are resolved elsewhere. */
  readonly host: string;
  readonly port: number;
  readonly mark?: number;
  /** Source address; it need not be ours when `transparent`. */
  readonly localIp?: string;
  /** Bind `localIp` although it is foreign (IP_TRANSPARENT). Needs the in-pod rules to bring the answers back. */
  readonly transparent?: boolean;
  readonly timeoutMs: number;
  /** TCP keepalive: idle time before the first probe. */
  readonly keepAliveMs?: number;
  /** The probes that follow; absent: Node's own, every second. */
  readonly keepAliveProbes?: KeepAliveProbes;
  readonly signal?: Abortable;
}

/**
 * Connects. The socket is paused and unread: give it to `tcpChannel` or `tls.connect({socket})`. Throws AmbitError
 * `net.connection-refused`, `net.connect-timeout`, `net.unreachable`, `net.address-taken`,
 * `net.aborted` or `net.connect-failed`.
 */
export async function dial(options: DialOptions): Promise<Socket> {
  // Another try only where we picked a source port that turned out to be taken towards this destination; at last the kernel picks.
  for (let tries = 1; ; tries++) {
    try {
      return await dialOnce(options, tries < maxPortTries);
    } catch (error) {
      if (codeOf(error) !== 'net.address-taken' || tries >= maxPortTries) throw error;
    }
  }
}

const maxPortTries = 8;

function dialOnce(options: DialOptions, avoidOwnersPorts: boolean): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { signal, host, port } = options;
    const target = formatHostPort(host, port);
    if (signal?.aborted) return reject(aborted(target));
    const socket = openSocket(options, avoidOwnersPorts);
    const settle = (error: AmbitError | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('connect', onConnect);
      // Late errors (a reset between here and the reader) show as close.
      socket.on('error', ignore);
      if (!error) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => {
      const fd = options.keepAliveProbes && descriptorOf(socket);
      if (fd !== undefined && options.keepAliveProbes) setKeepAliveProbes(fd, options.keepAliveProbes);
      settle(undefined);
    };
    const onError = (error: Error): void => settle(connectError(target, error));
    const onAbort = (): void => settle(aborted(target));
    const timer = setTimeout(() => {
      settle(
        new AmbitError(`Cannot connect to ${target}: no answer within ${options.timeoutMs} ms`, {
          code: 'net.connect-timeout',
          blame: 'upstream',
        }),
      );
    }, options.timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', onConnect);
    socket.on('error', onError);
    // Paused before it connects: otherwise Node starts to read, and the bytes are lost to whoever adopts the handle.
    socket.pause();
    // libuv uses the descriptor given and makes the connect() itself: errors and 'connect' come as for any socket.
    socket.connect({ host, port });
  });
}

/** Refers to nothing: it stays with the socket. */
function ignore(): void {}

function openSocket(options: DialOptions, avoidOwnersPorts: boolean): Socket {
  const family = familyOf(options.host);
  const fd = withNetns(options.netns, () => {
    const opened = sys.socket(family, sys.linux.SOCK_STREAM);
    try {
      applySocketOptions(opened, family, options);
      if (options.localIp !== undefined) {
        const foreign = options.transparent === true && avoidOwnersPorts;
        (foreign ? bindForeign : bindAnyPort)(opened, options.localIp, family);
      }
      return opened;
    } catch (error) {
      sys.close(opened);
      throw error;
    }
  });
  try {
    const keepAlive =
      options.keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: options.keepAliveMs };
    return new Socket({ fd, manualStart: true, allowHalfOpen: true, noDelay: true, ...keepAlive } as never);
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

function aborted(target: string): AmbitError {
  return new AmbitError(`Cannot connect to ${target}: given up`, { code: 'net.aborted', blame: 'internal' });
}

function connectError(target: string, error: Error): AmbitError {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'net.connection-refused',
    ETIMEDOUT: 'net.connect-timeout',
    EHOSTUNREACH: 'net.unreachable',
    ENETUNREACH: 'net.unreachable',
    EADDRNOTAVAIL: 'net.address-taken',
  };
  const code = reasons[codeOf(error) ?? ''] ?? 'net.connect-failed';
  return new AmbitError(`Cannot connect to ${target}: ${codeOf(error) ?? messageOf(error)}`, {
    code,
    blame: 'upstream',
    cause: error,
  });
}
