/** Outbound tunnels: a CONNECT over the pod's pooled connections, and through a gateway another tunnel inside of it. */
import { formatHostPort } from '../../lib/ip.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { HbonePlan } from '../../decision/index.ts';
import {
  connectSingleTunnel,
  formatBaggage,
  formatForwarded,
  forwardedNetworkHeader,
  parseBaggage,
  poolKeyId,
  type TunnelChannel,
  type TunnelKey,
} from '../../hbone/index.ts';
import { connectTls } from '../../identity/index.ts';
import { channelDuplex, tlsChannel } from '../../net/index.ts';
import { formatTraceparent } from '../../telemetry/index.ts';
import type { PodContext } from './data-context.ts';
import type { ReachRequest, Upstream } from './reach-request.ts';

export async function openTunnel(plan: HbonePlan, request: ReachRequest): Promise<Upstream> {
  const { connection, own, pool, src, trace } = request;
  const identity = spiffeId(own.trustDomain, own.namespace, own.serviceAccount);
  const headers: Readonly<Record<string, string>> = {
    baggage: formatBaggage(own),
    forwarded: formatForwarded(src, plan.service?.hostname),
    traceparent: formatTraceparent(trace),
  };
  const connect = { authority: plan.authority, headers };
  const outer = await pool.connect(tunnelKey(plan, identity, request), connect, connection.signal);
  return plan.innerExpected
    ? openInner(outer, { expected: plan.innerExpected, identity, request, connect })
    : { channel: outer };
}

/**
 * The gateway carries what is inside without looking: TLS with whoever serves in the other network, then a CONNECT to the same
 * authority (ambient-l4 3.9). Not pooled: the far end is chosen by the gateway, each time anew.
 */
async function openInner(
  outer: TunnelChannel,
  to: {
    readonly expected: readonly SpiffeId[];
    readonly identity: SpiffeId;
    readonly request: ReachRequest;
    readonly connect: { readonly authority: string; readonly headers: Readonly<Record<string, string>> };
  },
): Promise<Upstream> {
  const { expected, identity, connect } = to;
  const { pod, connection } = to.request;
  const { signal } = connection;
  const { clock, limits, certificates } = pod;
  const stream = channelDuplex(outer);
  // The handshake says why it failed; a late error of the stream below it has nobody to be told.
  stream.on('error', () => undefined);
  try {
    const certificate = await certificates.get(identity, signal);
    const timeoutMs = limits.handshakeTimeoutMs;
    const peer = await connectTls({
      socket: stream,
      certificate,
      expected,
      signal,
      timeoutMs,
      revocations: pod.revocations,
      allowTls12: limits.allowTls12,
    });
    const tunnel = await connectSingleTunnel({
      channel: tlsChannel(peer.socket),
      request: { authority: connect.authority, headers: { ...connect.headers, [forwardedNetworkHeader]: pod.network } },
      timeoutMs: limits.answerTimeoutMs,
      signal,
      clock,
    });
    const baggage = tunnel.responseHeaders.get('baggage');
    return {
      channel: tunnel,
      identity: peer.identity,
      labels: baggage === undefined ? undefined : parseBaggage(baggage),
    };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Everything that two connections must share to share a tunnel. The pool is the pod's own. */
function tunnelKey(plan: HbonePlan, identity: SpiffeId, { pod, sourceIp }: ReachRequest): TunnelKey {
  return {
    id: poolKeyId({
      sourcePod: pod.target.pod.uid,
      sourceIp,
      sourceIdentity: identity,
      network: plan.workload.network,
      destination: formatHostPort(plan.ip, plan.port),
      expectedIdentities: plan.expected,
      // A renewed certificate may come with other roots: tunnels of the old one take no new connections.
      trustGeneration: generationOf(pod, identity),
      worker: pod.worker,
    }),
    ip: plan.ip,
    port: plan.port,
    identity,
    expected: plan.expected,
  };
}

function generationOf({ certificates }: PodContext, identity: SpiffeId): number {
  return certificates.current(identity)?.generation ?? 0;
}
