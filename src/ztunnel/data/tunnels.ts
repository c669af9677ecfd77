/** Outbound tunnels: a CONNECT over the pod's pooled connections, and through a gateway another tunnel inside of it. */
import { formatHostPort } from '../../lib/ip.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { HbonePlan } from '../../decision/index.ts';
import {
  formatBaggage,
  formatForwarded,
  openInnerTunnel,
  parseBaggage,
  poolKeyId,
  type TunnelKey,
} from '../../hbone/index.ts';
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
  const outer = await pool.connect(tunnelKey(plan, identity, request), connect, connection.wait);
  if (!plan.innerExpected) return { channel: outer };
  const { pod } = request;
  const { certificates, clock, limits, network, revocations } = pod;
  const inner = await openInnerTunnel({
    ...connect,
    outer,
    certificate: (signal) => certificates.get(identity, signal),
    expected: plan.innerExpected,
    network,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    answerTimeoutMs: limits.answerTimeoutMs,
    revocations,
    allowTls12: limits.allowTls12,
    signal: connection.signal,
    clock,
  });
  const baggage = inner.channel.responseHeaders.get('baggage');
  return { ...inner, labels: baggage === undefined ? undefined : parseBaggage(baggage) };
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
