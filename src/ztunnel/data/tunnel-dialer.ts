/** Dials the TLS connections under outbound tunnels, from the pod's namespace and with the pod's certificate. */
import type { SpiffeId } from '../../api/names.ts';
import { connectTls } from '../../identity/index.ts';
import { dial, tlsChannel, type ByteChannel } from '../../net/index.ts';
import type { PodContext } from './data-context.ts';
import { markOf } from '../ports.ts';

export interface TunnelKey {
  /** Equal for connections that may share a tunnel, different for all others. */
  readonly id: string;
  readonly ip: string;
  readonly port: number;
  readonly identity: SpiffeId;
  readonly expected: readonly SpiffeId[];
}

/** The pool's `dial` for one pod. */
export function tunnelDialer(pod: PodContext): (key: TunnelKey, signal: AbortSignal) => Promise<ByteChannel> {
  return async (key, signal) => {
    const ended = AbortSignal.any([pod.ended, signal]);
    const certificate = await pod.certificates.get(key.identity, ended);
    const socket = await dial({
      ...(pod.target.netns === undefined ? {} : { netns: pod.target.netns, mark: markOf(pod.target.pod) }),
      host: key.ip,
      port: key.port,
      timeoutMs: pod.limits.connectTimeoutMs,
      keepAliveMs: pod.limits.keepAliveMs,
      signal: ended,
    });
    const peer = await connectTls({
      socket,
      certificate,
      expected: key.expected,
      signal: ended,
      timeoutMs: pod.limits.handshakeTimeoutMs,
      revocations: pod.revocations,
      allowTls12: pod.limits.allowTls12,
    });
    return tlsChannel(peer.socket);
  };
}
