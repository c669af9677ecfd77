/** Outbound: a captured connection of a pod's application, to wherever `planOutbound` says. */
import type { Socket } from 'node:net';
import { AmbitError } from '../../lib/errors.ts';
import { canonicalIp, formatHostPort } from '../../lib/ip.ts';
import { serviceKey, spiffeId } from '../../api/names.ts';
import { originalDestination, tcpChannel, type AcceptedSocket, type Endpoint } from '../../net/index.ts';
import type { HbonePool, TunnelKey } from '../../hbone/index.ts';
import { createTraceContext } from '../../telemetry/index.ts';
import type { OutboundPlan } from '../../decision/index.ts';
import { overLimit } from './connection-limits.ts';
import { ownWorkload, type PodContext } from './data-context.ts';
import { flagsOf } from './failures.ts';
import type { DialPlan, ReachRequest, Upstream } from './reach-request.ts';
import { unknownAddress, type Concern } from './outbound-watch.ts';
import { reach } from './reach.ts';
import { runPump } from './run-pump.ts';

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
    const refused = overLimit(pod);
    if (refused) throw refused;
    if (!destination) throw internal('original destination is not known');
    const found = ownWorkload(pod, () => connection.signal);
    const own = found instanceof Promise ? await found : found;
    if (!own) throw internal('own workload is not known to the mesh');
    if (connection.cutError) throw connection.cutError;
    const listenerIp = (): string | undefined =>
      socket.localAddress === undefined ? undefined : canonicalIp(socket.localAddress);
    const trace = createTraceContext();
    const request = { connection, own, pod, pool, trace, src, sourceIp: remoteAddress, destination, listenerIp };
    const revision = pod.mesh.revision;
    const reached = await reach(request);
    if (reached.kind === 'failed') {
      describe(reached.plan, request);
      throw reached.error;
    }
    const { plan, upstream } = reached;
    describe(plan, request, upstream);
    if (connection.cutError) {
      upstream.channel.reset(connection.cutError);
      throw connection.cutError;
    }
    runPump({
      pod,
      connection,
      client: tcpChannel(socket),
      server: upstream.channel,
      onEnd: watch(plan, request, revision),
    });
  } catch (error) {
    // The application sees a reset, never an orderly end of a connection that did not exist.
    socket.resetAndDestroy();
    connection.finish({ flags: flagsOf(error), error: error as Error });
  }
}

/** Says in metrics and log where it goes, or would have gone. */
export function describe(plan: OutboundPlan, request: ReachRequest, upstream?: Upstream): void {
  const { connection, own, trace } = request;
  const known = {
    sourceWorkload: own,
    service: plan.service,
    destinationWorkload: plan.kind === 'passthrough' ? undefined : plan.workload,
  };
  if (plan.kind === 'hbone') {
    return connection.describe({
      ...known,
      protocol: 'HBONE',
      actualDst: formatHostPort(plan.ip, plan.port),
      hboneAddr: plan.authority,
      sourceIdentity: spiffeId(own.trustDomain, own.namespace, own.serviceAccount),
      destinationIdentity: upstream?.identity ?? plan.expected[0],
      ...(upstream?.labels ? { destinationLabels: upstream.labels } : {}),
      traceId: trace.traceId,
    });
  }
  const dialled = plan.kind === 'tcp' || plan.kind === 'passthrough';
  connection.describe({
    ...known,
    protocol: 'TCP',
    actualDst: dialled ? formatHostPort(plan.ip, plan.port) : connection.start.originalDst,
  });
}

/** A connection that went past waypoints hears of changes that concern it. */
function watch(plan: DialPlan, request: ReachRequest, revision: number): (() => void) | undefined {
  if (plan.kind === 'hbone' && plan.via === 'waypoint') return undefined;
  const { pod, connection, own, destination } = request;
  const wentTo = plan.kind === 'hbone' ? 'mesh' : 'outside';
  const { address: destinationIp, port: destinationPort } = destination;
  // Its own workload says whether it may reach what nobody registered.
  const concerns = [...addressedTo(plan, destinationIp), ...(wentTo === 'outside' ? [own.uid] : [])];
  return pod.outboundWatch.watch(connection, { own, destinationIp, destinationPort, wentTo, concerns, revision });
}

function addressedTo(plan: DialPlan, ip: string): readonly Concern[] {
  const { service } = plan;
  if (service) return [serviceKey(service.namespace, service.hostname)];
  return plan.kind === 'passthrough' ? unknownAddress(ip) : [plan.workload.uid];
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
