/** Outbound: a captured connection of a pod's application, to wherever `planOutbound` says. */
import type { Socket } from 'node:net';
import { AmbitError } from '../../lib/errors.ts';
import { canonicalIp, formatHostPort } from '../../lib/ip.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { planOutbound, type OutboundPlan } from '../../decision/index.ts';
import {
  dial,
  originalDestination,
  tcpChannel,
  type AcceptedSocket,
  type ByteChannel,
  type Endpoint,
} from '../../net/index.ts';
import { poolKeyId, type HbonePool } from '../../hbone/index.ts';
import { createTraceContext, formatTraceparent } from '../../telemetry/index.ts';
import { formatBaggage, formatForwarded } from './baggage.ts';
import type { Connection } from './connections.ts';
import { ownWorkload, type PodContext } from './data-context.ts';
import { flagsOf } from './failures.ts';
import { hbonePort, ownPorts, proxyMark } from '../ports.ts';
import { runPump } from './run-pump.ts';
import type { TunnelKey } from './tunnel-dialer.ts';

export interface OutboundOptions {
  readonly pod: PodContext;
  readonly pool: HbonePool<TunnelKey>;
}

/** Serves one captured connection to its end. Never throws: what goes wrong ends this connection alone. */
export async function serveOutbound(accepted: AcceptedSocket, { pod, pool }: OutboundOptions): Promise<void> {
  const { socket, remoteAddress, remotePort } = accepted;
  const src = formatHostPort(remoteAddress, remotePort);
  const destination = capturedDestination(socket, pod.target.listenAt?.originalDestination?.outbound);
  const connection = pod.connections.open({
    podUid: pod.target.pod.uid,
    direction: 'outbound',
    src,
    originalDst: destination ? formatHostPort(destination.address, destination.port) : 'unknown',
  });
  try {
    if (!destination) throw internal('original destination is not known');
    const own = await ownWorkload(pod, connection.signal);
    if (!own) throw internal('own workload is not known to the mesh');
    if (connection.cutError) throw connection.cutError;
    const { mesh, random } = pod;
    const plan = planOutbound({
      mesh,
      own,
      sourceIp: remoteAddress,
      destinationIp: destination.address,
      destinationPort: destination.port,
      random,
      hbonePort,
      ownPorts,
    });
    const upstream = await reach(plan, { connection, own, pod, pool, src, sourceIp: remoteAddress });
    if (connection.cutError) {
      upstream.reset(connection.cutError);
      throw connection.cutError;
    }
    runPump(connection, tcpChannel(socket), upstream);
  } catch (error) {
    // The application sees a reset, never an orderly end of a connection that did not exist.
    socket.resetAndDestroy();
    connection.finish({ flags: flagsOf(error), error: error as Error });
  }
}

interface Attempt {
  readonly connection: Connection;
  readonly own: MeshWorkload;
  readonly pod: PodContext;
  readonly pool: HbonePool<TunnelKey>;
  readonly src: string;
  readonly sourceIp: string;
}

async function reach(plan: OutboundPlan, attempt: Attempt): Promise<ByteChannel> {
  const { connection, own, pod } = attempt;
  switch (plan.kind) {
    case 'refuse':
      connection.describe({
        protocol: 'TCP',
        actualDst: connection.start.originalDst,
        sourceWorkload: own,
        destinationWorkload: plan.workload,
        service: plan.service,
      });
      throw new AmbitError(plan.message, { code: `outbound.${plan.reason}`, blame: 'upstream' });
    case 'hbone':
      return reachByTunnel(plan, attempt);
    case 'tcp':
    case 'passthrough': {
      connection.describe({
        protocol: 'TCP',
        actualDst: formatHostPort(plan.ip, plan.port),
        sourceWorkload: own,
        destinationWorkload: plan.kind === 'tcp' ? plan.workload : undefined,
        service: plan.service,
      });
      const socket = await dial({
        ...(pod.target.netns === undefined ? {} : { netns: pod.target.netns, mark: proxyMark }),
        host: plan.ip,
        port: plan.port,
        timeoutMs: pod.limits.connectTimeoutMs,
        keepAliveMs: pod.limits.keepAliveMs,
        signal: connection.signal,
      });
      return tcpChannel(socket);
    }
  }
}

function reachByTunnel(plan: Extract<OutboundPlan, { kind: 'hbone' }>, attempt: Attempt): Promise<ByteChannel> {
  const { connection, own, pod, pool, src, sourceIp } = attempt;
  const identity = spiffeId(own.trustDomain, own.namespace, own.serviceAccount);
  const trace = createTraceContext();
  connection.describe({
    protocol: 'HBONE',
    actualDst: formatHostPort(plan.ip, plan.port),
    hboneAddr: plan.authority,
    sourceWorkload: own,
    sourceIdentity: identity,
    destinationWorkload: plan.workload,
    destinationIdentity: plan.expected[0],
    service: plan.service,
    traceId: trace.traceId,
  });
  const headers = {
    baggage: formatBaggage(own),
    forwarded: formatForwarded(src, plan.service?.hostname),
    traceparent: formatTraceparent(trace),
  };
  const key = tunnelKey({ plan, identity, sourceIp, pod });
  return pool.connect(key, { authority: plan.authority, headers }, connection.signal);
}

/** Everything that two connections must share to share a tunnel. The pool is the pod's own. */
function tunnelKey(parts: {
  readonly plan: Extract<OutboundPlan, { kind: 'hbone' }>;
  readonly identity: SpiffeId;
  readonly sourceIp: string;
  readonly pod: PodContext;
}): TunnelKey {
  const { plan, identity, sourceIp, pod } = parts;
  return {
    id: poolKeyId({
      sourcePod: pod.target.pod.uid,
      sourceIp,
      sourceIdentity: identity,
      network: plan.workload.network,
      destination: formatHostPort(plan.ip, plan.port),
      expectedIdentities: plan.expected,
      // A renewed certificate may come with other roots: tunnels of the old one take no new connections.
      trustGeneration: pod.certificates.current(identity)?.generation ?? 0,
      worker: 0,
    }),
    ip: plan.ip,
    port: plan.port,
    identity,
    expected: plan.expected,
  };
}

/** Where a captured connection wanted to go; for one that was not redirected, the address it came in on. */
export function capturedDestination(socket: Socket, override: Endpoint | undefined): Endpoint | undefined {
  if (override) return override;
  const original = originalDestination(socket);
  if (original) return original;
  const { localAddress, localPort } = socket;
  return localAddress === undefined || localPort === undefined
    ? undefined
    : { address: canonicalIp(localAddress), port: localPort };
}

function internal(problem: string): AmbitError {
  return new AmbitError(`Cannot connect: ${problem}`, { code: 'outbound.not-ready', blame: 'internal' });
}
