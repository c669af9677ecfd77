/** Dials the TLS connections under tunnels: TCP, the handshake with our own certificate, and who must answer. */
import type { SpiffeId } from '../api/names.ts';
import { connectTls, type Revocations, type WorkloadCertificate } from '../identity/index.ts';
import { dial, tlsChannel, type ByteChannel } from '../net/index.ts';

export interface TunnelKey {
  /** Equal for connections that may share a tunnel, different for all others. */
  readonly id: string;
  readonly ip: string;
  readonly port: number;
  readonly identity: SpiffeId;
  readonly expected: readonly SpiffeId[];
}

export interface TunnelDialerOptions {
  /** Our own certificate. Rejects when there is none. */
  readonly certificate: (identity: SpiffeId, signal: AbortSignal) => Promise<WorkloadCertificate>;
  /** Ends every dial under way. */
  readonly ended: AbortSignal;
  /** Where it is dialled from, asked each time; absent: the process's own namespace, without a mark. */
  readonly from?: () => { readonly netns: number; readonly mark: number };
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly allowTls12?: boolean;
  readonly revocations?: Revocations;
  /** Who answered, once it is trusted. */
  readonly onPeer?: (key: TunnelKey, peer: SpiffeId) => void;
}

/** The `dial` of a pool of tunnels. */
export function tunnelDialer(
  options: TunnelDialerOptions,
): (key: TunnelKey, signal: AbortSignal) => Promise<ByteChannel> {
  const { from, connectTimeoutMs, handshakeTimeoutMs, keepAliveMs, revocations, allowTls12, onPeer } = options;
  return async (key, signal) => {
    const ended = AbortSignal.any([options.ended, signal]);
    const certificate = await options.certificate(key.identity, ended);
    const socket = await dial({
      ...from?.(),
      host: key.ip,
      port: key.port,
      timeoutMs: connectTimeoutMs,
      keepAliveMs,
      signal: ended,
    });
    const peer = await connectTls({
      socket,
      certificate,
      expected: key.expected,
      signal: ended,
      timeoutMs: handshakeTimeoutMs,
      ...(revocations ? { revocations } : {}),
      ...(allowTls12 === undefined ? {} : { allowTls12 }),
    });
    onPeer?.(key, peer.identity);
    return tlsChannel(peer.socket);
  };
}
