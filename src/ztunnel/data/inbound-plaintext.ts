/** Inbound plaintext on 15006: callers outside the mesh. No identity, hence STRICT refuses it by policy. */
import { AmbitError } from '../../lib/errors.ts';
import { formatHostPort } from '../../lib/ip.ts';
import { planInboundPlaintext } from '../../decision/index.ts';
import { tcpChannel, type AcceptedSocket } from '../../net/index.ts';
import { overLimit } from './connection-limits.ts';
import { ownWorkload, type PodContext } from './data-context.ts';
import { flagsOf } from './failures.ts';
import { authorizeInbound, DeniedError, dialApplication } from './inbound.ts';
import { capturedDestination } from './outbound.ts';
import { ownPorts } from '../ports.ts';
import { runPump } from './run-pump.ts';

/** Serves one connection to its end. Never throws. */
export async function servePlaintext(accepted: AcceptedSocket, pod: PodContext): Promise<void> {
  const { socket, remoteAddress, remotePort } = accepted;
  const destination = capturedDestination(socket, pod.target.listenAt?.originalDestination?.plaintext);
  const originalDst = destination ? formatHostPort(destination.address, destination.port) : 'unknown';
  const connection = pod.connections.open({
    podUid: pod.target.pod.uid,
    direction: 'inbound',
    src: formatHostPort(remoteAddress, remotePort),
    originalDst,
  });
  try {
    const overloaded = overLimit(pod);
    if (overloaded) throw overloaded;
    if (!destination) throw refused('not-ready', 'original destination is not known');
    const own = await ownWorkload(pod, () => connection.signal);
    if (!own) throw refused('not-ready', 'own workload is not known to the mesh');
    const { mesh } = pod;
    const { address: destinationIp, port: destinationPort } = destination;
    const plan = planInboundPlaintext({ mesh, own, destinationIp, destinationPort, ownPorts });
    connection.describe({
      protocol: 'TCP',
      actualDst: originalDst,
      sourceWorkload: mesh.workloadByIp(own.network, remoteAddress),
      destinationWorkload: own,
      service: plan.kind === 'accept' ? plan.service : undefined,
    });
    if (plan.kind === 'refuse') throw refused(plan.reason, plan.message);
    const { policy } = await authorizeInbound({
      pod,
      connection,
      own,
      sourceIp: remoteAddress,
      source: undefined,
      target: plan,
    });
    const application = await dialApplication({ pod, connection, sourceIp: remoteAddress, target: plan });
    if (connection.cutError) {
      application.reset(connection.cutError);
      throw connection.cutError;
    }
    // The caller is far away, and nothing else would notice its death.
    socket.setKeepAlive(true, pod.limits.keepAliveMs);
    runPump({ pod, connection, client: tcpChannel(socket), server: application, policy });
  } catch (error) {
    socket.resetAndDestroy();
    connection.finish({
      flags: flagsOf(error),
      error: error as Error,
      policy: error instanceof DeniedError ? error.policy : undefined,
    });
  }
}

function refused(reason: string, message: string): AmbitError {
  return new AmbitError(message, { code: `inbound.${reason}`, blame: 'downstream' });
}
