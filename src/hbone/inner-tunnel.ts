/**
 * The tunnel inside of a tunnel, through the gateway of another network (ambient-l4 3.9): the gateway carries bytes that it cannot
 * read, so that TLS and the CONNECT are with whoever serves over there.
 */
import type { SpiffeId } from '../api/names.ts';
import { connectTls, type Revocations, type WorkloadCertificate } from '../identity/index.ts';
import type { Clock } from '../lib/clock.ts';
import { channelDuplex, tlsChannel, type ByteChannel } from '../net/index.ts';
import { forwardedNetworkHeader } from './baggage.ts';
import type { TunnelChannel } from './connect-attempt.ts';
import { connectSingleTunnel } from './single-tunnel.ts';

export interface InnerTunnelOptions {
  /** To the gateway, nothing read. Owned from here on, also when it fails. */
  readonly outer: ByteChannel;
  /** Our own certificate. Rejects when there is none. */
  readonly certificate: (signal: AbortSignal) => Promise<WorkloadCertificate>;
  /** Any of them may answer inside. */
  readonly expected: readonly SpiffeId[];
  /** The service's name, since addresses mean nothing over there. */
  readonly authority: string;
  /** Beside the network, which is told to the far end alone. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ours. */
  readonly network: string;
  readonly handshakeTimeoutMs: number;
  /** The peer's SETTINGS and its answer together. */
  readonly answerTimeoutMs: number;
  readonly revocations: Revocations | undefined;
  readonly allowTls12: boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface InnerTunnel {
  readonly channel: TunnelChannel;
  /** Who answered inside. */
  readonly identity: SpiffeId;
}

/** Never pooled: the far end is chosen by the gateway, each time anew. Rejects as the handshake and `HbonePool.connect` do. */
export async function openInnerTunnel(options: InnerTunnelOptions): Promise<InnerTunnel> {
  const { outer, expected, authority, headers, network, signal, clock, revocations } = options;
  const stream = channelDuplex(outer);
  // The handshake says why it failed; a late error of the stream below it has nobody to be told.
  stream.on('error', () => undefined);
  try {
    const certificate = await options.certificate(signal);
    const peer = await connectTls({
      socket: stream,
      certificate,
      expected,
      signal,
      timeoutMs: options.handshakeTimeoutMs,
      ...(revocations ? { revocations } : {}),
      allowTls12: options.allowTls12,
    });
    const channel = await connectSingleTunnel({
      channel: tlsChannel(peer.socket),
      request: { authority, headers: { ...headers, [forwardedNetworkHeader]: network } },
      timeoutMs: options.answerTimeoutMs,
      signal,
      clock,
    });
    return { channel, identity: peer.identity };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}
