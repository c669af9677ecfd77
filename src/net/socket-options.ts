/** Options of TCP sockets that the mesh needs and Node does not set. */
import * as sys from './sys.ts';

const { linux } = sys;

export interface SocketOptions {
  /** SO_MARK: the in-pod rules tell our packets by it. */
  readonly mark?: number;
  /** IP_TRANSPARENT: accept for, or bind to, addresses that are not ours. */
  readonly transparent?: boolean;
}

/** Applies `options` to a socket of `family`. */
export function applySocketOptions(fd: number, family: number, options: SocketOptions): void {
  if (options.mark !== undefined) sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_MARK, options.mark);
  if (options.transparent === true) {
    // A dual-stack socket answers IPv4 peers too, so it gets both.
    sys.setIntOption(fd, linux.SOL_IP, linux.IP_TRANSPARENT, 1);
    if (family === linux.AF_INET6) sys.setIntOption(fd, linux.SOL_IPV6, linux.IPV6_TRANSPARENT, 1);
  }
}

/** How often a silent peer is asked, and how often in vain. After Node's own `setKeepAlive`, which sets both. */
export function setKeepAliveProbes(fd: number, { intervalMs, count }: KeepAliveProbes): void {
  sys.setIntOption(fd, linux.SOL_TCP, linux.TCP_KEEPINTVL, Math.max(1, Math.round(intervalMs / 1000)));
  sys.setIntOption(fd, linux.SOL_TCP, linux.TCP_KEEPCNT, Math.max(1, count));
}

export interface KeepAliveProbes {
  readonly intervalMs: number;
  readonly count: number;
}

/** `struct linger { on = 1, seconds = 0 }` */
const lingerNothing = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** Makes the next close send RST and drop what is queued. Harmless where the socket is already dead. */
export function resetOnClose(fd: number): void {
  try {
    sys.setOption(fd, linux.SOL_SOCKET, linux.SO_LINGER, lingerNothing);
  } catch {
    // The connection is gone: there is nothing left to reset.
  }
}
