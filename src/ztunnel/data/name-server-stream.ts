/** TCP from the DNS proxy of a pod to a name server of the mesh: a connection of the pod like those that its application makes. */
import { formatHostPort } from '../../lib/ip.ts';
import { planOutbound } from '../../decision/index.ts';
import type { HbonePool, TunnelKey } from '../../hbone/index.ts';
import { channelDuplex, memoryChannelPair } from '../../net/index.ts';
import { createTraceContext } from '../../telemetry/index.ts';
import type { ServerStream } from '../dns/exchange.ts';
import { hbonePort, ownPorts } from '../ports.ts';
import type { Connection } from './connections.ts';
import { overLimit } from './connection-limits.ts';
import type { PodContext } from './data-context.ts';
import { flagsOf } from './failures.ts';
import { describe } from './outbound.ts';
import { reach } from './reach.ts';
import type { ReachRequest, Upstream } from './reach-request.ts';
import { runPump } from './run-pump.ts';

const dnsServerPort = 53;
/** For the server to end its half, once we ended ours. */
const closeMs = 1000;

/**
 * A tunnel to `server`, where that is in the mesh or behind a waypoint; undefined: it is dialled as it is. Rejects with what
 * `reach` says; it is in the access log then.
 */
export function openNameServerStream(
  server: string,
  { pod, pool }: { readonly pod: PodContext; readonly pool: HbonePool<TunnelKey> },
  signal: AbortSignal,
): Promise<ServerStream> | undefined {
  const { mesh, target, random } = pod;
  const own = mesh.workloadOfPod(target.pod);
  const sourceIp = own?.addresses.find((ip) => ip.includes(':') === server.includes(':'));
  if (!own || sourceIp === undefined) return undefined;
  const destination = { address: server, port: dnsServerPort };
  const at = { destinationIp: server, destinationPort: dnsServerPort };
  const plan = planOutbound({ mesh, own, sourceIp, ...at, random, hbonePort, ownPorts });
  const isGuarded = plan.kind === 'refuse' && plan.reason === 'waypoint-absent';
  if (plan.kind !== 'hbone' && !isGuarded) return undefined;
  // Which of its sockets asked is not told: it is ours that asks.
  const src = formatHostPort(sourceIp, 0);
  const connection = pod.connections.open({
    podUid: target.pod.uid,
    direction: 'outbound',
    src,
    originalDst: formatHostPort(server, dnsServerPort),
  });
  const trace = createTraceContext();
  const request = { connection, own, pod, pool, trace, src, sourceIp, destination, listenerIp: undefined };
  return open(request, signal);
}

async function open(request: ReachRequest, signal: AbortSignal): Promise<ServerStream> {
  const { connection, pod } = request;
  const onAbort = (): void => connection.cut(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const refused = overLimit(pod) ?? connection.cutError;
    if (refused) throw refused;
    const reached = await reach(request);
    if (reached.kind === 'failed') {
      describe(reached.plan, request);
      throw reached.error;
    }
    describe(reached.plan, request, reached.upstream);
    return carry(connection, reached.upstream, pod);
  } catch (error) {
    connection.finish({ flags: flagsOf(error), error: error as Error });
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function carry(connection: Connection, { channel }: Upstream, pod: PodContext): ServerStream {
  const [near, far] = memoryChannelPair();
  runPump({ pod, connection, client: far, server: channel });
  const stream = channelDuplex(near);
  stream.on('error', () => undefined);
  return {
    stream,
    close: () => {
      if (stream.destroyed) return;
      const cancel = pod.clock.after(closeMs, () => void stream.destroy());
      stream.once('close', cancel);
      stream.once('end', () => void stream.destroy());
      stream.end();
      stream.resume();
      if (stream.readableEnded) stream.destroy();
    },
  };
}
